/** Digest and size of a file, and a way to tell later whether it is still the same one. */
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { stoppable } from '../abort.js';
import { ModelGuardError } from '../errors.js';
import { attempt, readPieces } from '../files.js';
import { type RunOptions, stepwise } from '../native/work.js';

interface Measured {
  /** 64 hex digits. */
  readonly sha256: string;
  readonly size: number;
  /** SOURCE_CHANGED unless the path still leads to the file that was measured, unchanged. */
  readonly stillThere: () => Promise<void>;
}

const identityOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string => [dev, ino, size, mtimeNs, ctimeNs].join();

/** Reads the file once, in little memory; the phase `verify`. SOURCE_CHANGED if it changes meanwhile. */
export async function measured(path: string, run: Pick<RunOptions, 'signal' | 'onProgress'>): Promise<Measured> {
  const look = () => attempt('Cannot read', path, () => stat(path, { bigint: true }));
  const first = await look();
  const before = identityOf(first);
  const stillThere = async (): Promise<void> => {
    if (identityOf(await look()) !== before) throw new ModelGuardError('SOURCE_CHANGED', `${path} changed while it was read`);
  };
  const hash = createHash('sha256');
  let size = 0;
  await stepwise('verify', Number(first.size), run, async (advance) => {
    for await (const piece of stoppable(readPieces(path), run.signal)) {
      hash.update(piece);
      size += piece.length;
      advance(piece.length);
    }
    await stillThere();
  });
  return { sha256: hash.digest('hex'), size, stillThere };
}
