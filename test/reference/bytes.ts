/** The few byte operations that the reference needs. All integers are big-endian. */

/** The reference refuses: nothing of the container may be released. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

export function refuse(why: string): never {
  throw new Refused(why);
}

export function must(condition: boolean, why: string): asserts condition {
  if (!condition) refuse(why);
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
export const utf8 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'utf8'));
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
export const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 255);
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

export function u64(value: number): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(value));
  return out;
}

/** Reads forward and refuses to read past the end. */
export class Cursor {
  #at = 0;
  readonly #view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.bytes.length - this.#at;
  }

  take(length: number): Uint8Array {
    must(length <= this.left, `needs ${length} bytes at ${this.#at}, has ${this.left}`);
    const out = this.bytes.slice(this.#at, this.#at + length);
    this.#at += length;
    return out;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  /** Every u64 of the format stays below 2^53. */
  u64(): number {
    const value = this.#view.getBigUint64(this.#advance(8));
    must(value <= BigInt(Number.MAX_SAFE_INTEGER), `${value} is 2^53 or more`);
    return Number(value);
  }

  #advance(length: number): number {
    must(length <= this.left, `needs ${length} bytes at ${this.#at}, has ${this.left}`);
    this.#at += length;
    return this.#at - length;
  }
}
