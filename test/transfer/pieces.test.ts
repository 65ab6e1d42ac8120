/** The pieces of an upload. If these fail, bytes are missing or doubled, or S3 refuses an upload for its number of pieces. */
import { describe, expect, it } from 'vitest';
import { choosePieceBytes, countPieces, pieceSize } from '../../src/transfer/pieces.js';

const MIB = 2 ** 20;

describe('the pieces of a part', () => {
  it('have the least size, as long as S3 takes so many', () => {
    expect(choosePieceBytes(1, 8 * MIB)).toBe(8 * MIB);
    expect(choosePieceBytes(10_000 * 8 * MIB, 8 * MIB)).toBe(8 * MIB);
    expect(choosePieceBytes(10_000 * 8 * MIB + 1, 8 * MIB)).toBe(9 * MIB);
    expect(choosePieceBytes(1, 5 * MIB + 1)).toBe(5 * MIB + 1);
  });

  it.each([1, 5 * MIB, 5 * MIB + 1, 123_456_789, 2 ** 36 + 1, 2 ** 40])('of %d bytes cover every byte once', (size) => {
    const bytes = choosePieceBytes(size, 5 * MIB);
    const count = countPieces(size, bytes);
    expect(count).toBeLessThanOrEqual(10_000);
    let sum = 0;
    for (let number = 1; number <= count; number++) sum += pieceSize(number, size, bytes);
    expect(sum).toBe(size);
    expect(pieceSize(count, size, bytes)).toBeGreaterThan(0);
    expect([pieceSize(0, size, bytes), pieceSize(count + 1, size, bytes), pieceSize(count + 2, size, bytes)]).toEqual([0, 0, 0]);
  });

  it('of no bytes are one, which is empty', () => {
    expect(countPieces(0, 5 * MIB)).toBe(1);
    expect(pieceSize(1, 0, 5 * MIB)).toBe(0);
  });
});
