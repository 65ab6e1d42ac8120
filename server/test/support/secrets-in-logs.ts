/** Searches a log for every secret that a test knows, in every form in which it could be written. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { forms, Needles, WINDOW } from '../../../test/support/needles.js';

/** Shorter texts are found by chance. */
const SHORTEST = 8;
/** The beginning of a payload is looked for byte by byte, the rest at samples. */
const BEGINNING = 64;
const SAMPLES = 16;
/** Repeated short patterns stand in many places and are no secret. */
const FEWEST_DIFFERENT = 6;
const isTelling = (bytes: Uint8Array): boolean => new Set(bytes).size >= FEWEST_DIFFERENT;
/** Any token, of any signer: a header and a payload that are JSON objects, then a signature. */
const TOKEN = /eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}/;

/** As pino and util.inspect write bytes. */
function listed(label: string, bytes: Uint8Array): { readonly label: string; readonly bytes: Uint8Array }[] {
  const all = [...bytes];
  const texts = {
    'decimal list': all.join(','),
    'spaced list': all.join(', '),
    'spaced hex': all.map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
    'indexed list': all.map((byte, index) => `"${index}":${byte}`).join(','),
  };
  return Object.entries(texts).map(([form, text]) => ({ label: `${label}, ${form}`, bytes: Buffer.from(text) }));
}

/** As addresses and JSON write a text. */
const escaped = (label: string, text: string): { readonly label: string; readonly bytes: Uint8Array }[] =>
  [encodeURIComponent(text), JSON.stringify(text).slice(1, -1), JSON.stringify(JSON.stringify(text).slice(1, -1)).slice(1, -1)]
    .filter((form, at, all) => form !== text && all.indexOf(form) === at)
    .map((form) => ({ label: `${label}, escaped`, bytes: Buffer.from(form) }));

/** Secrets that must be in no log. Labels name them in failures; the secrets themselves never stand there. */
export class KnownSecrets {
  readonly #needles = new Needles();
  readonly #short = new Map<string, Buffer>();
  readonly #known = new Set<string>();

  /** How many different secrets. */
  get count(): number {
    return this.#known.size;
  }

  #isNew(secret: Uint8Array | string): boolean {
    const key = typeof secret === 'string' ? secret : Buffer.from(secret).toString('base64');
    if (this.#known.has(key)) return false;
    this.#known.add(key);
    return true;
  }

  /** A password, a signature, whatever is written as text. */
  text(label: string, secret: string): this {
    if (secret.length < SHORTEST || !this.#isNew(secret)) return this;
    for (const form of [...forms(label, Buffer.from(secret)), ...escaped(label, secret)]) this.#add(form);
    return this;
  }

  /** A token is worth something with its signature alone. */
  token(label: string, token: string): this {
    return this.text(label, token.slice(token.lastIndexOf('.') + 1));
  }

  /** A key or another secret of bytes: any 16 of them in a row. */
  bytes(label: string, secret: Uint8Array): this {
    if (!isTelling(secret) || !this.#isNew(secret)) return this;
    this.#needles.addSecret(label, secret);
    for (const form of listed(label, secret)) this.#add(form);
    return this;
  }

  /** Something long: its beginning, and samples of the rest. */
  payload(label: string, payload: Uint8Array): this {
    if (payload.length < WINDOW || !this.#isNew(payload.subarray(0, 4096))) return this;
    this.bytes(label, payload.slice(0, BEGINNING));
    const step = Math.max(BEGINNING, Math.floor(payload.length / SAMPLES));
    for (let at = BEGINNING; at + 2 * WINDOW <= payload.length; at += step) {
      const sample = payload.slice(at, at + 2 * WINDOW);
      for (const form of [...forms(label, sample), ...listed(label, sample)]) this.#add(form);
    }
    return this;
  }

  /** The keys of a server's folder (docs/format.md, section 11), as they lie there and decoded. */
  keyFiles(folder: string): this {
    if (!existsSync(folder)) return this;
    for (const name of readdirSync(folder).filter((file) => /[._]key$/.test(file))) {
      const [, text = ''] = readFileSync(join(folder, name), 'utf8').split('\n');
      const bytes = Buffer.from(text, 'base64url');
      for (let at = 0; at + 32 <= bytes.length; at += 32) this.bytes(`${name} at ${at}`, bytes.subarray(at, at + 32));
    }
    return this;
  }

  /** Labels of the secrets that stand in `log`. */
  foundIn(log: string | Uint8Array): string[] {
    const bytes = typeof log === 'string' ? Buffer.from(log) : Buffer.from(log.buffer, log.byteOffset, log.byteLength);
    const found = new Set<string>();
    this.#needles.scan(bytes, (label) => found.add(label));
    for (const [label, needle] of this.#short) if (bytes.includes(needle)) found.add(label);
    if (TOKEN.test(bytes.toString('latin1'))) found.add('a token');
    return [...found];
  }

  /** Windows side by side: a form that stands there whole, or for the most part, is found. */
  #add({ label, bytes }: { readonly label: string; readonly bytes: Uint8Array }): void {
    if (bytes.length < WINDOW) {
      this.#short.set(label, Buffer.from(bytes));
      return;
    }
    const starts = Array.from({ length: Math.floor(bytes.length / WINDOW) }, (_, index) => index * WINDOW);
    for (const at of [...starts, bytes.length - WINDOW]) {
      const window = bytes.slice(at, at + WINDOW);
      if (isTelling(window)) this.#needles.addRaw(label, window);
    }
  }
}

/** @throws Error with the labels of the secrets and their lines */
export function expectNoSecrets(secrets: KnownSecrets, lines: readonly string[]): void {
  const found = secrets.foundIn(lines.join('\n'));
  if (found.length === 0) return;
  const where = lines.flatMap((line, number) => (secrets.foundIn(line).length > 0 ? [number + 1] : []));
  throw new Error(`the log holds secrets (lines ${where.slice(0, 10).join(', ')}): ${found.slice(0, 10).join('; ')}`);
}
