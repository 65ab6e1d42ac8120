/** Secret sharing: known answers worked out by hand, and every set of shares. */
import { describe, expect, it } from 'vitest';
import { seeded } from '../support/seed.js';
import { refused } from '../support/wycheproof.js';
import { same } from './bytes.js';
import { inverse, joinShares, multiply, splitSecret } from './shamir.js';

const random = seeded('the reference shares secrets');
const subsets = <Item>(items: readonly Item[]): Item[][] =>
  Array.from({ length: 2 ** items.length }, (_, bits) => items.filter((_item, at) => (bits >> at) & 1));

describe('sharing over GF(2^8)', () => {
  it('multiplies as AES does', () => {
    // FIPS 197, sections 4.2 and 4.2.1, and the S-box's famous pair.
    expect(multiply(0x57, 0x83)).toBe(0xc1);
    expect(multiply(0x57, 0x13)).toBe(0xfe);
    expect(multiply(0x53, 0xca)).toBe(1);
    for (let a = 1; a < 256; a += 1) expect(multiply(a, inverse(a)), `${a} times its inverse`).toBe(1);
  });

  it('gives the shares that were worked out by hand', () => {
    // 0x2a + x: no reduction. 0x10 + 0x57 x: at 0x83 and 0x13 by the products above.
    const line = splitSecret(Uint8Array.of(0x2a, 0x10), 2, 255, Uint8Array.of(0x01, 0x57));
    const at = (x: number): number[] => [...(line[x - 1]?.bytes ?? [])];
    expect([at(1)[0], at(2)[0], at(3)[0]]).toEqual([0x2b, 0x28, 0x29]);
    expect([at(0x83)[1], at(0x13)[1]]).toEqual([0x10 ^ 0xc1, 0x10 ^ 0xfe]);
    // 0x63 + 0x40 x + 0x80 x². x² is 1, 4, 5; 0x80·2 = 0x1b, 0x80·4 = 0x36, 0x80·5 = 0xb6; 0x40·2 = 0x80, 0x40·3 = 0xc0.
    const parabola = splitSecret(Uint8Array.of(0x63), 3, 3, Uint8Array.of(0x40, 0x80));
    expect(parabola.map(({ x, bytes }) => [x, ...bytes])).toEqual([
      [1, 0x63 ^ 0x40 ^ 0x80],
      [2, 0x63 ^ 0x80 ^ 0x36],
      [3, 0x63 ^ 0xc0 ^ 0xb6],
    ]);
  });

  it('gets the secret back from any shares that reach the threshold, and from fewer something else', () => {
    for (let threshold = 1; threshold <= 5; threshold += 1) {
      const secret = random.bytes(32);
      const shares = splitSecret(secret, threshold, 5);
      for (const some of subsets(shares)) {
        if (some.length === 0) continue;
        expect(same(joinShares(some), secret), `${some.length} of ${threshold}`).toBe(some.length >= threshold);
      }
    }
  });

  it('knows no more than 255 shares, and a threshold within them', () => {
    const shares = splitSecret(random.bytes(32), 128, 255);
    expect(shares.map(({ x }) => x)).toEqual(Array.from({ length: 255 }, (_, at) => at + 1));
    for (const [threshold, count] of [
      [0, 1],
      [2, 1],
      [1, 256],
    ] as const)
      expect(refused(() => splitSecret(random.bytes(32), threshold, count))).toBe(true);
    expect(refused(() => joinShares([...shares.slice(0, 1), ...shares.slice(0, 1)]))).toBe(true);
    expect(refused(() => joinShares([]))).toBe(true);
  });
});
