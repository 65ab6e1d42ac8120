/**
 * Looks for any 16 bytes in a row of many secrets at once, raw or as text. A whole key in memory is a fault, and so is
 * a part of one that is long enough to matter.
 */

export const WINDOW = 16;

export interface Window {
  readonly bytes: Uint8Array;
  readonly label: string;
}

const encoder = new TextEncoder();

/** Base64 of `secret` as it would look inside longer data, for each of the three alignments, without the unsure ends. */
function base64Texts(secret: Uint8Array, encoding: 'base64' | 'base64url'): string[] {
  return [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), secret])
      .toString(encoding)
      .replace(/=+$/, '');
    const whole = Math.floor(((secret.length + shift) * 8) / 6);
    return text.slice(Math.ceil((shift * 8) / 6), whole);
  });
}

/** A secret as it may stand in memory or in a file: raw, hexadecimal, base64. */
export function forms(label: string, secret: Uint8Array): Window[] {
  const hex = Buffer.from(secret).toString('hex');
  const texts: readonly [string, string][] = [
    ['hex', hex],
    ['HEX', hex.toUpperCase()],
    ...base64Texts(secret, 'base64').map((text): [string, string] => ['base64', text]),
    ...base64Texts(secret, 'base64url').map((text): [string, string] => ['base64url', text]),
  ];
  return [
    { label: `${label}, raw`, bytes: secret },
    ...texts.map(([form, text]) => ({ label: `${label}, ${form}`, bytes: encoder.encode(text) })),
  ];
}

const mix = (word: number): number => Math.imul(word, 0x9e3779b1) >>> 8;
const ZERO = new Uint8Array(4096);

export class Needles {
  // One bit for each hash of a window's first four bytes, and what lies behind those bits.
  readonly #filter = new Uint8Array(2 ** 21);
  readonly #windows = new Map<number, Window[]>();
  #count = 0;

  /** A secret in every form: raw, hex, base64. At least 16 bytes. */
  addSecret(label: string, secret: Uint8Array): this {
    for (const form of forms(label, secret)) this.addRaw(form.label, form.bytes);
    return this;
  }

  /** Bytes as they are. */
  addRaw(label: string, needle: Uint8Array): this {
    const bytes = Uint8Array.from(needle); // slices of a Buffer would share its memory
    if (bytes.length < WINDOW) throw new RangeError(`${label} is too short to look for`);
    for (let at = 0; at + WINDOW <= bytes.length; at += 1) this.#add({ label, bytes: bytes.slice(at, at + WINDOW) });
    return this;
  }

  get count(): number {
    return this.#count;
  }

  #add(window: Window): void {
    const word = new DataView(window.bytes.buffer).getUint32(0, true);
    const hash = mix(word);
    this.#filter[hash >>> 3] = (this.#filter[hash >>> 3] ?? 0) | (1 << (hash & 7));
    this.#windows.set(word, [...(this.#windows.get(word) ?? []), window]);
    this.#count += 1;
  }

  /** Calls `found` for each window in `memory`. Pages of zeros are skipped. */
  scan(memory: Uint8Array, found: (label: string, at: number) => void): void {
    const last = memory.length - WINDOW;
    for (let page = 0; page <= last; page += ZERO.length) {
      const end = Math.min(page + ZERO.length, last + 1);
      const next = memory.subarray(page, page + ZERO.length);
      // A window that begins in a page of zeros has zeros in front, as no secret of ours does four times in a row
      // except at its very end, where the window that begins in the next page is found instead.
      if (next.length === ZERO.length && Buffer.compare(next, ZERO) === 0) continue;
      this.#scanFrom(memory, page, end, found);
    }
  }

  #scanFrom(memory: Uint8Array, from: number, end: number, found: (label: string, at: number) => void): void {
    let word = ((memory[from] ?? 0) << 8) | ((memory[from + 1] ?? 0) << 16) | ((memory[from + 2] ?? 0) << 24);
    for (let at = from; at < end; at += 1) {
      word = (word >>> 8) | ((memory[at + 3] ?? 0) << 24);
      const hash = mix(word);
      if (((this.#filter[hash >>> 3] ?? 0) & (1 << (hash & 7))) === 0) continue;
      for (const { bytes, label } of this.#windows.get(word >>> 0) ?? []) {
        if (Buffer.compare(memory.subarray(at, at + WINDOW), bytes) === 0) found(label, at);
      }
    }
  }
}
