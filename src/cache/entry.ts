/** The entries of the cache, and the names of their files. */

/** A big part, by the digest of its payload and by its place in the payload. */
export interface PartName {
  /** 64 hex digits. */
  readonly digest: string;
  /** Where in the payload the part begins. */
  readonly offset: number;
}

/** An artifact that a runtime derived from a model, sealed (`model.derived`). */
export interface DerivedName {
  /** Stands for the model's payload, the runtime and the artifact; 64 hex digits. */
  readonly derived: string;
}

export type EntryName = PartName | DerivedName;

/** Bytes of the file. */
interface Sized {
  readonly size: number;
}

/** A big part that may lie in the cache. */
export type CacheKey = PartName & Sized;

/** A file in the cache. `used`: when it was last used, in milliseconds since 1970. */
export type CacheEntry = EntryName & Sized & { readonly used: number };

const DERIVED = 'derived';
/** At most 15 digits: every such number is exact. A file with a longer name is foreign, and stays. */
const NAME = /^([0-9a-f]{64})-(derived|0|[1-9][0-9]{0,14})$/;

export const fileNameOf = (name: EntryName): string =>
  'derived' in name ? `${name.derived}-${DERIVED}` : `${name.digest}-${name.offset}`;

/** Undefined for the name of a foreign file. */
export function parseFileName(name: string): EntryName | undefined {
  const [, hash, place] = NAME.exec(name) ?? [];
  if (hash === undefined) return undefined;
  return place === DERIVED ? { derived: hash } : { digest: hash, offset: Number(place) };
}
