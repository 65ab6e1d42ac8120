/**
 * SIMULATED vibration signals of a bearing, as an accelerometer on its housing would see them.
 *
 * Nothing here was measured on a machine. The signals follow the usual textbook model: a local defect is struck
 * at its characteristic rate, every strike rings a structural resonance, load and slip modulate the strikes,
 * and shaft harmonics, a gear-like tone, stray knocks and noise cover all of it.
 */
import { bearing, characteristicOrders } from './bearing.js';
import { Random } from './random.js';

export const classes = ['healthy', 'inner race', 'outer race', 'ball'] as const;
export const sampleRate = 12_000;
export const windowLength = 2048;

export interface Dataset {
  /** `count` windows of `windowLength` samples, one after the other. */
  readonly signals: Float32Array;
  /** Index into `classes`, one per window. */
  readonly labels: Uint8Array;
  readonly count: number;
}

/** Seeds of the two sets; the held-out windows are never seen in training. */
export const trainingSeed = 20_240_117;
export const heldOutSeed = 77_003;
export const heldOutCount = 400;

const orders = characteristicOrders(bearing);

/** A balanced set: window i is of class i mod 4 and depends on nothing but seed and i. */
export function simulate(seed: number, count: number): Dataset {
  const signals = new Float32Array(count * windowLength);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    labels[i] = i % classes.length;
    const signal = simulateWindow(new Random(seed, i), classes[labels[i]]);
    signals.set(signal, i * windowLength);
  }
  return { signals, labels, count };
}

function simulateWindow(random: Random, fault: (typeof classes)[number]): Float32Array {
  const signal = new Float32Array(windowLength);
  const angle = shaftAngle(random);
  // One resonance per window: another machine, another mounting of the sensor.
  const resonance: Resonance = {
    frequency: random.uniform(1500, 5000),
    damping: random.uniform(0.03, 0.08),
    phase: random.uniform(0, 2 * Math.PI),
  };
  if (fault !== 'healthy') {
    for (const strike of strikes(random, fault, angle)) ring(signal, strike, resonance);
    // Fault energy relative to noise of variance 1: from clearly visible to all but buried.
    scaleToPower(signal, 10 ** (random.uniform(-9, 5) / 10));
  }
  addStrayKnocks(signal, random, resonance);
  addShaftTones(signal, random, angle);
  const gain = 10 ** random.uniform(-1, 1); // sensors are not calibrated against each other
  for (let i = 0; i < windowLength; i++) signal[i] = gain * (signal[i] + random.normal());
  return signal;
}

/** Shaft angle in turns at every sample: about 30 Hz, ±6 % between windows, wandering by up to 1 % within one. */
function shaftAngle(random: Random): Float64Array {
  const rate = 30 * random.uniform(0.94, 1.06);
  const wander = random.uniform(0, 0.01);
  const wanderRate = random.uniform(1, 6);
  const wanderPhase = random.uniform(0, 2 * Math.PI);
  const angle = new Float64Array(windowLength);
  let turns = random.uniform();
  for (let i = 0; i < windowLength; i++) {
    angle[i] = turns;
    const seconds = i / sampleRate;
    turns += (rate * (1 + wander * Math.sin(2 * Math.PI * wanderRate * seconds + wanderPhase))) / sampleRate;
  }
  return angle;
}

interface Strike {
  /** In samples, with a fraction. */
  readonly time: number;
  readonly strength: number;
}

/** The moments at which a defect is struck, each one's strength set by the load on the defect at that moment. */
function strikes(random: Random, fault: 'inner race' | 'outer race' | 'ball', angle: Float64Array): Strike[] {
  // A defect on a ball meets both races in every spin of the ball.
  const order = { 'inner race': orders.innerRace, 'outer race': orders.outerRace, ball: 2 * orders.ballSpin }[fault];
  // Rolling elements slip a little: a constant share, and a random part from strike to strike.
  const spacing = (1 + random.uniform(0, 0.015)) / order;
  // The loaded zone stands still. A defect of the inner race passes through it with every turn of the shaft, a defect
  // of a ball with every turn of the cage; one of the outer race is always at the same place in it.
  const passesPerTurn = { 'inner race': 1, 'outer race': 0, ball: orders.cage }[fault];
  const zonePhase = fault === 'outer race' ? random.uniform(-0.12, 0.12) : random.uniform();
  const extent = random.uniform(0.35, 0.55);

  const found: Strike[] = [];
  let next = angle[0] + spacing * random.uniform();
  for (let i = 1; i < windowLength; i++) {
    while (angle[i] >= next) {
      const fraction = (next - angle[i - 1]) / (angle[i] - angle[i - 1]);
      const strength = load(passesPerTurn * next + zonePhase, extent) * Math.exp(0.25 * random.normal());
      found.push({ time: i - 1 + fraction, strength });
      next += spacing * (1 + 0.01 * random.normal());
    }
  }
  return found;
}

/** Load around the bearing: full under the shaft, falling with the power 1.5 of the squeeze, little elsewhere. */
function load(turns: number, extent: number): number {
  const squeeze = 1 - (1 - Math.cos(2 * Math.PI * turns)) / (2 * extent);
  return 0.1 + 0.9 * Math.max(0, squeeze) ** 1.5;
}

interface Resonance {
  readonly frequency: number;
  readonly damping: number;
  readonly phase: number;
}

/** Adds the structure's answer to one strike: an exponentially decaying oscillation. */
function ring(signal: Float32Array, strike: Strike, { frequency, damping, phase }: Resonance): void {
  const omega = (2 * Math.PI * frequency) / sampleRate;
  const end = Math.min(windowLength, strike.time + 6 / (damping * omega));
  for (let i = Math.ceil(strike.time); i < end; i++) {
    const t = i - strike.time;
    signal[i] += strike.strength * Math.exp(-damping * omega * t) * Math.sin(omega * t + phase);
  }
}

function scaleToPower(signal: Float32Array, power: number): void {
  let sum = 0;
  for (const x of signal) sum += x * x;
  const factor = Math.sqrt((power * windowLength) / sum);
  for (let i = 0; i < windowLength; i++) signal[i] *= factor;
}

/** Knocks without a rhythm, in every class: an impulse alone must not mean a fault. */
function addStrayKnocks(signal: Float32Array, random: Random, resonance: Resonance): void {
  const knocks = random.integer(7);
  for (let k = 0; k < knocks; k++) {
    ring(signal, { time: random.uniform(0, windowLength - 1), strength: random.uniform(1, 5) }, resonance);
  }
}

/** Unbalance and misalignment (low multiples of the shaft rate), and a gear-like tone modulated once per turn. */
function addShaftTones(signal: Float32Array, random: Random, angle: Float64Array): void {
  for (const multiple of [1, 2, 3]) {
    const amplitude = random.uniform(0, 1.5) / multiple;
    const phase = random.uniform(0, 2 * Math.PI);
    for (let i = 0; i < windowLength; i++) {
      signal[i] += amplitude * Math.sin(2 * Math.PI * multiple * angle[i] + phase);
    }
  }
  const teeth = 40 + random.integer(60);
  const amplitude = random.uniform(0, 0.8);
  const depth = random.uniform(0, 0.6);
  const phase = random.uniform(0, 2 * Math.PI);
  for (let i = 0; i < windowLength; i++) {
    const modulation = 1 + depth * Math.cos(2 * Math.PI * angle[i] + phase);
    signal[i] += amplitude * modulation * Math.sin(2 * Math.PI * teeth * angle[i]);
  }
}
