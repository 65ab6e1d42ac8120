/** Entries of tables that all formats share, and the rules for their sizes, names and places. */
import { ModelGuardError } from '../errors.js';

/** Where the bytes of a tensor lie. */
export interface TensorPlace {
  /** The name of a file within the model. */
  readonly file: string;
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

/** An entry of a table. */
export interface TensorInfo {
  readonly name: string;
  /** As the format calls it: `F32`, `Q4_K`, `FLOAT`. */
  readonly dtype: string;
  /** The outermost dimension first; empty for a scalar. */
  readonly shape: readonly number[];
  /** Absent where the file does not hold the values as little-endian bytes in one piece. */
  readonly place?: TensorPlace | undefined;
}

/** The largest models have less than 200,000. */
export const MAX_TENSORS = 262_144;
export const MAX_RANK = 64;

/** A name from a file, which may be hostile, as part of a message. */
export const quoted = (name: string): string => JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);

export const malformed = (file: string, what: string): ModelGuardError =>
  new ModelGuardError('TENSORS_MALFORMED', `The tensors of ${quoted(file)}: ${what}`);

export const tooMuch = (file: string, what: string): ModelGuardError =>
  new ModelGuardError('LIMIT_EXCEEDED', `The tensors of ${quoted(file)}: ${what}`, {
    advice: 'Read the file whole or in ranges (bytes, read). A table that is larger than that of any known model may be hostile.',
  });

export const unknownType = (file: string, name: string, type: string | number): ModelGuardError =>
  new ModelGuardError(
    'VERSION_UNSUPPORTED',
    `The tensors of ${quoted(file)}: ${quoted(name)} has the type ${quoted(String(type))}, which this release does not know`,
    { advice: 'Update model-guard. If the newest version does not know the type, read the file whole (bytes, read).' },
  );

export const inTwoFiles = (name: string, ...files: readonly string[]): ModelGuardError =>
  new ModelGuardError('INVALID_ARGUMENT', `${files.map(quoted).join(' and ')} both have a tensor ${quoted(name)}`, {
    advice: 'Choose one file: model.files.get(name).tensors().',
  });

const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function utf8(file: string, bytes: Uint8Array, what: string): string {
  try {
    return UTF_8.decode(bytes);
  } catch {
    throw malformed(file, `${what} is not UTF-8`);
  }
}

/** A relative path beside `file`, without its `.` segments, as a name within the model; undefined if it could lead elsewhere. */
export function besides(file: string, location: string): string | undefined {
  const segments = location.split('/').filter((segment) => segment !== '.');
  const isPlain = segments.length > 0 && segments.every((segment) => segment !== '' && segment !== '..');
  if (!isPlain || /[\\\0]|^[A-Za-z]:/.test(location)) return undefined;
  return `${file.slice(0, file.lastIndexOf('/') + 1)}${segments.join('/')}`;
}

/** The product of a shape. Exact, however large. */
export const elements = (shape: readonly number[]): bigint => shape.reduce((count, size) => count * BigInt(size), 1n);

/**
 * Collects the entries of one file: bounds their number, and refuses names that repeat and places that overlap. In another file, two names may
 * have the same place: exporters write weights once that a model uses twice.
 */
export class TensorTable {
  readonly #file: string;
  readonly #entries = new Map<string, TensorInfo>();

  constructor(file: string) {
    this.#file = file;
  }

  add(entry: TensorInfo): void {
    if (this.#entries.has(entry.name)) throw malformed(this.#file, `${quoted(entry.name)} is there twice`);
    if (this.#entries.size === MAX_TENSORS) throw tooMuch(this.#file, `more than ${MAX_TENSORS}`);
    this.#entries.set(entry.name, entry);
  }

  finish(): readonly TensorInfo[] {
    const entries = [...this.#entries.values()];
    checkOverlaps(this.#file, entries);
    return entries;
  }
}

function checkOverlaps(file: string, entries: readonly TensorInfo[]): void {
  const places = new Map<string, TensorPlace[]>();
  for (const { place } of entries) {
    if (!place || place.length === 0) continue;
    const those = places.get(place.file);
    if (those) those.push(place);
    else places.set(place.file, [place]);
  }
  for (const those of places.values()) {
    let last = { offset: 0, length: 0 };
    for (const place of those.sort((a, b) => a.offset - b.offset || a.length - b.length)) {
      const isShared = place.file !== file && place.offset === last.offset && place.length === last.length;
      if (place.offset < last.offset + last.length && !isShared)
        throw malformed(file, `two overlap at byte ${place.offset} of ${quoted(place.file)}`);
      last = place;
    }
  }
}
