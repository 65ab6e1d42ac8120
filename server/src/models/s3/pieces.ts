/** How a part is cut into the pieces of an upload. */

/** What S3 takes in one upload. */
const MOST = 10_000;
const MIB = 1024 * 1024;

/** A part and its pieces: all as long as `pieceBytes`, but for the last one. */
export interface Cut {
  readonly size: number;
  readonly pieceBytes: number;
}

/** Pieces of at least `least` bytes, and no more of them than S3 takes. */
export function cutOf(size: number, least: number): Cut {
  return { size, pieceBytes: Math.ceil(Math.max(least, size / MOST) / MIB) * MIB };
}

export const countOf = ({ size, pieceBytes }: Cut): number => Math.ceil(size / pieceBytes);

/** The bytes of a piece, from number 1 on; undefined where the part has no such piece. */
export function bytesOf(cut: Cut, number: number): number | undefined {
  if (number < 1 || number > countOf(cut)) return undefined;
  return Math.min(cut.pieceBytes, cut.size - (number - 1) * cut.pieceBytes);
}
