/**
 * The kinematics of a rolling-element bearing whose outer ring stands still.
 *
 * All rates are multiples of the shaft's rotation rate and assume rolling without slip, the textbook relations:
 * - the cage turns at half the shaft rate, reduced by the ratio of ball to pitch diameter (FTF);
 * - every ball passes a point of the outer race once per turn of the cage (BPFO);
 * - and a point of the inner race once per turn of the shaft relative to the cage (BPFI);
 * - a ball spins at half the pitch-to-ball ratio, times one minus the ball-to-pitch ratio squared (BSF).
 */
export interface Geometry {
  readonly balls: number;
  readonly ballDiameter: number;
  readonly pitchDiameter: number;
  /** Contact angle in radians; 0 for a deep-groove bearing under radial load. */
  readonly contactAngle: number;
}

export interface Orders {
  readonly cage: number;
  readonly outerRace: number;
  readonly innerRace: number;
  readonly ballSpin: number;
}

/** A common size of deep-groove ball bearing; lengths in millimetres. */
export const bearing: Geometry = { balls: 9, ballDiameter: 7.94, pitchDiameter: 39.04, contactAngle: 0 };

export function characteristicOrders(g: Geometry): Orders {
  const ratio = (g.ballDiameter / g.pitchDiameter) * Math.cos(g.contactAngle);
  return {
    cage: (1 - ratio) / 2,
    outerRace: (g.balls * (1 - ratio)) / 2,
    innerRace: (g.balls * (1 + ratio)) / 2,
    ballSpin: (g.pitchDiameter / (2 * g.ballDiameter)) * (1 - ratio * ratio),
  };
}
