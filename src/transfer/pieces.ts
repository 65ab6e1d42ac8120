/** Divides a part into the pieces of an upload. Pieces count from 1 and have the same size, but for the last one, which may be shorter. */
import { MAX_PIECES } from '../base/limits.js';

const MIB = 1024 * 1024;

/** Bytes of a piece: `least`, or as many whole MiB as a part of more than 10,000 such pieces needs. */
export const choosePieceBytes = (size: number, least: number): number =>
  Math.max(least, Math.ceil(size / MAX_PIECES / MIB) * MIB);

/** The number of pieces: at least one, which is empty where there are no bytes. */
export const countPieces = (size: number, pieceBytes: number): number => Math.max(1, Math.ceil(size / pieceBytes));

/** Bytes of piece `number`; 0 where the part has no such piece. */
export const pieceSize = (number: number, size: number, pieceBytes: number): number =>
  number < 1 ? 0 : Math.max(0, Math.min(pieceBytes, size - (number - 1) * pieceBytes));
