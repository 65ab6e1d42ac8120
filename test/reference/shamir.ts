/** Section 12: Shamir's secret sharing, byte by byte over GF(2^8) with x^8+x^4+x^3+x+1. Slow and not in constant time. */
import { concat, must } from './bytes.js';
import { random } from './primitives.js';

export interface Share {
  /** 1 to 255. */
  readonly x: number;
  readonly bytes: Uint8Array;
}

export function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    product = (product << 1) ^ (product & 0x80 ? 0x11b : 0);
    if ((b >> bit) & 1) product ^= a;
  }
  return product;
}

/** a^254: the multiplicative group has 255 elements. */
export function inverse(a: number): number {
  must(a !== 0, 'zero has no inverse');
  let power = 1;
  for (let i = 0; i < 254; i += 1) power = multiply(power, a);
  return power;
}

/** Horner's rule; `terms[d]` is the coefficient of x^d. */
const evaluate = (terms: readonly number[], x: number): number => terms.reduceRight((sum, term) => multiply(sum, x) ^ term, 0);

/** Shares at x = 1 … count. `coefficients`: those of degree 1 for every byte, then those of degree 2, … */
export function splitSecret(
  secret: Uint8Array,
  threshold: number,
  count: number,
  coefficients: Uint8Array = random(secret.length * (threshold - 1)),
): readonly Share[] {
  must(threshold >= 1 && threshold <= count && count <= 255, 'an impossible threshold');
  const size = secret.length;
  const rows = concat(secret, coefficients);
  must(rows.length === size * threshold, 'another number of coefficients');
  const termsOf = (at: number): number[] => Array.from({ length: threshold }, (_, degree) => rows[degree * size + at] ?? 0);
  return Array.from({ length: count }, (_, index) => ({
    x: index + 1,
    bytes: Uint8Array.from(secret, (_byte, at) => evaluate(termsOf(at), index + 1)),
  }));
}

/** What the polynomial of least degree through these shares has at `x`: the secret at 0. */
export function joinShares(shares: readonly Share[], x = 0): Uint8Array {
  const [first] = shares;
  must(first !== undefined && new Set(shares.map((share) => share.x)).size === shares.length, 'no shares, or one twice');
  const joined = new Uint8Array(first.bytes.length);
  for (const share of shares) {
    let weight = 1;
    for (const other of shares) {
      if (other !== share) weight = multiply(weight, multiply(x ^ other.x, inverse(share.x ^ other.x)));
    }
    share.bytes.forEach((byte, at) => {
      joined[at] = (joined[at] ?? 0) ^ multiply(weight, byte);
    });
  }
  return joined;
}
