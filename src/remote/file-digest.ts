/** Digest and size of a file, and a way to tell later whether it is still the same one. */
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { stoppable } from '../base/abort.js';
import { ModelGuardError } from '../errors.js';
import { readPieces, withFileErrors } from '../files/files.js';
import { type RunOptions, stepwise } from '../native/work.js';

interface Measured {
  /** 64 hex digits. */
  readonly sha256: string;
  readonly size: number;
  /** SOURCE_CHANGED unless the path still leads to the file that was measured, unchanged. */
  readonly stillThere: () => Promise<void>;
}

const look = (path: string): Promise<BigIntStats> => withFileErrors('Cannot read', path, () => stat(path, { bigint: true }));
const identityOf = ({ dev, ino, size, mtimeNs }: BigIntStats): string => [dev, ino, size, mtimeNs].join();
const changed = (path: string) => new ModelGuardError('SOURCE_CHANGED', `${path} changed while it was read`);

/** Reads the file once, in little memory; the phase `verify`. SOURCE_CHANGED if it changes meanwhile. */
export async function digestFile(path: string, run: Pick<RunOptions, 'signal' | 'onProgress'>): Promise<Measured> {
  const first = await look(path);
  const found = await stepwise('verify', Number(first.size), run, (advance) => digestOf(path, first, run, advance));
  return {
    ...found,
    stillThere: async () => {
      const now = await look(path);
      if (identityOf(now) !== identityOf(first)) throw changed(path);
      // Permissions or links changed, or a writer set the modification time back: the content tells.
      if (now.ctimeNs !== first.ctimeNs && (await digestOf(path, first, run)).sha256 !== found.sha256) throw changed(path);
    },
  };
}

async function digestOf(
  path: string,
  before: BigIntStats,
  { signal }: Pick<RunOptions, 'signal'>,
  advance: (bytes: number) => void = () => undefined,
): Promise<{ readonly sha256: string; readonly size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const piece of stoppable(readPieces(path), signal)) {
    hash.update(piece);
    size += piece.length;
    advance(piece.length);
  }
  if (identityOf(await look(path)) !== identityOf(before)) throw changed(path);
  return { sha256: hash.digest('hex'), size };
}
