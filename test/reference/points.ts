/** Points of Curve25519 by plain arithmetic (RFC 7748, RFC 8032), so that nothing here repeats a table of the addon. */

export const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const SIGN = 2n ** 255n;

const mod = (value: bigint): bigint => ((value % P) + P) % P;
function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = mod(base), left = exponent; left > 0n; left >>= 1n, square = mod(square * square))
    if (left & 1n) result = mod(result * square);
  return result;
}
const inverse = (value: bigint): bigint => power(value, P - 2n);
const D = mod(-121665n * inverse(121666n));

export interface Point {
  readonly x: bigint;
  readonly y: bigint;
}
const NEUTRAL: Point = { x: 0n, y: 1n };

function add(a: Point, b: Point): Point {
  const product = mod(D * a.x * b.x * a.y * b.y);
  return {
    x: mod((a.x * b.y + b.x * a.y) * inverse(1n + product)),
    y: mod((a.y * b.y + a.x * b.x) * inverse(1n - product)),
  };
}
function multiply(point: Point, scalar: bigint): Point {
  let result = NEUTRAL;
  for (let double = point, left = scalar; left > 0n; left >>= 1n, double = add(double, double))
    if (left & 1n) result = add(result, double);
  return result;
}

/** The x of a point whose y is given, the even one; undefined if there is none. */
function xOf(y: bigint): bigint | undefined {
  const square = mod((y * y - 1n) * inverse(D * y * y + 1n));
  const root = power(square, (P + 3n) / 8n);
  const x = [root, mod(root * power(2n, (P - 1n) / 4n))].find((one) => mod(one * one) === square);
  return x !== undefined && x & 1n ? P - x : x;
}

const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
const bytesOf = (value: bigint): Uint8Array =>
  Uint8Array.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse());

/** Section 11: what is refused as an Ed25519 public key, whatever it signs. A text that is no point verifies nothing anyway. */
export function refusedEd25519(key: Uint8Array): boolean {
  const [sign, y] = [numberOf(key) & SIGN, numberOf(key) & (SIGN - 1n)];
  if (y >= P) return true;
  const x = xOf(y);
  if (x === undefined) return false;
  if (x === 0n && sign) return true;
  const { x: eightX, y: eightY } = multiply({ x, y }, 8n);
  return eightX === 0n && eightY === 1n;
}

/** Section 11: what is refused as an X25519 public key. */
export function refusedX25519(key: Uint8Array): boolean {
  const u = numberOf(key);
  if (u >= P) return true;
  // Three doublings by the x-coordinate alone, which hold on the curve and on its twist.
  let [x, z] = [u, 1n];
  for (let round = 0; round < 3; round += 1)
    [x, z] = [mod((x * x - z * z) ** 2n), mod(4n * x * z * (x * x + 486662n * x * z + z * z))];
  return z === 0n;
}

/** The eight points whose order divides 8. */
export function smallPoints(): Point[] {
  for (let y = 2n; ; y += 1n) {
    const x = xOf(y);
    if (x === undefined) continue;
    const generator = multiply({ x, y }, L);
    const all = [...Array(8).keys()].map((times) => multiply(generator, BigInt(times)));
    if (new Set(all.map((one) => `${one.x},${one.y}`)).size === 8) return all;
  }
}

/** Every text that some implementation reads as this point: RFC 8032's, with y above p, and with a sign that x = 0 has not. */
export function encodings({ x, y }: Point): Uint8Array[] {
  const signs = x === 0n ? [0n, SIGN] : [x & 1n ? SIGN : 0n];
  const values = y + P < SIGN ? [y, y + P] : [y];
  return values.flatMap((value) => signs.map((sign) => bytesOf(value | sign)));
}

/** The same point for X25519 (RFC 7748, section 4.1); undefined at infinity. */
export const montgomery = ({ y }: Point): Uint8Array | undefined =>
  y === 1n ? undefined : bytesOf(mod((1n + y) * inverse(1n - y)));
export const littleEndian = bytesOf;
