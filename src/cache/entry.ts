/** The parts in the cache, and the names of their files. */

/** Names a big part by the digest of its payload and by its place in the payload. */
export interface CacheKey {
  /** 64 hex digits. */
  readonly digest: string;
  /** Where in the payload the part begins. */
  readonly offset: number;
  /** Bytes of the part. */
  readonly size: number;
}

/** A cached part. */
export interface CacheEntry extends CacheKey {
  /** When it was last used, in milliseconds since 1970. */
  readonly used: number;
}

type Named = Pick<CacheKey, 'digest' | 'offset'>;

/** At most 15 digits: every such number is exact. A file with a longer name is foreign, and stays. */
const NAME = /^([0-9a-f]{64})-(0|[1-9][0-9]{0,14})$/;

export const fileNameOf = ({ digest, offset }: Named): string => `${digest}-${offset}`;

/** Undefined for the name of a foreign file. */
export function parseFileName(name: string): Named | undefined {
  const [, digest, offset] = NAME.exec(name) ?? [];
  return digest === undefined ? undefined : { digest, offset: Number(offset) };
}
