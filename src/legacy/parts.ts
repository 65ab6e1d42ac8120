/** Cutting artifacts in two and joining them again. No key is needed, and nothing ties two parts together but their lengths. */
import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { abortable, stoppable } from '../base/abort.js';
import { join as concatenate } from '../base/bytes.js';
import { copyOf, filePath, parse, stableBytes } from '../base/validate.js';
import { type PartFiles, type Parts, partFiles } from '../engine/options.js';
import { ModelGuardError } from '../errors.js';
import {
  commit,
  notRegular,
  readPieces,
  refuseExisting,
  withFileErrors,
  writeAll,
  writeSynced,
  writeWhole,
} from '../files/files.js';
import { checkSize } from './artifact.js';
import { legacyCopyOptions, legacySplitFileOptions, legacySplitRule } from './options.js';
import type { LegacyCopyOptions, LegacySplitFileOptions, LegacySplitRule } from './types.js';

const MAX_SMALL = 3072;

const smallSize = (size: number, ratio = 0.3): number => Math.min(MAX_SMALL, Math.floor(ratio * size));

/**
 * Cuts an artifact in memory into its small part, the first `min(3072, floor(ratio · size))` bytes, and its big part, the rest.
 * @param artifact Copied before the call returns.
 * @throws LEGACY_FAILED for a length that no artifact has · INVALID_ARGUMENT
 * @see docs/legacy.md
 * @example
 * const { small, big } = await split(artifact, { ratio: 0.2 });
 */
export async function split(artifact: Uint8Array, rule?: LegacySplitRule): Promise<Parts> {
  const whole = copyOf(artifact, 'artifact');
  const { ratio } = parse(legacySplitRule, rule, 'rule') ?? {};
  checkSize(whole.length);
  const cut = smallSize(whole.length, ratio);
  return { small: whole.slice(0, cut), big: whole.slice(cut) };
}

/**
 * Joins two parts in memory. Parts of different artifacts join as well; at best the decryption fails.
 * @throws LEGACY_FAILED for a length that no artifact has · INVALID_ARGUMENT
 * @see docs/legacy.md
 * @example
 * const artifact = await join(small, big);
 */
export async function join(small: Uint8Array, big: Uint8Array): Promise<Uint8Array> {
  const [first, second] = [parse(stableBytes, small, 'small'), parse(stableBytes, big, 'big')];
  checkSize(first.length + second.length);
  return concatenate(first, second);
}

/**
 * Cuts an artifact file of any size into two files, each written whole or not at all (0600), the small part last.
 * @param artifact Path of the artifact.
 * @param parts Paths of the parts to be written.
 * @throws What {@link split} throws; NOT_FOUND, SOURCE_UNSUPPORTED, SOURCE_CHANGED · ALREADY_EXISTS unless `overwrite`,
 *   PERMISSION_DENIED, READ_ONLY, NO_SPACE, IO_FAILED · ABORT_ERR
 * @see docs/legacy.md
 * @example
 * await splitFile('defects.enc', { small: 'defects.small', big: 'defects.big' });
 */
export async function splitFile(
  artifact: string,
  parts: PartFiles,
  options?: LegacySplitFileOptions,
): Promise<{ readonly smallBytes: number; readonly bigBytes: number }> {
  const source = parse(filePath, artifact, 'artifact');
  const { small, big } = parse(partFiles, parts, 'parts');
  const { ratio, overwrite = false, signal } = parse(legacySplitFileOptions, options) ?? {};
  return await abortable(signal, async () => {
    if (!overwrite) for (const path of [small, big]) await refuseExisting(path);
    const before = await look(source);
    const size = Number(before.size);
    checkSize(size);
    const cut = smallSize(size, ratio);
    const first: Uint8Array[] = [];
    await commit(big, { overwrite }, (temporary) =>
      writeSynced(temporary, (out) =>
        steady([[source, before]], async () => {
          for await (const piece of readPieces(source, 0, cut)) first.push(piece);
          for await (const piece of stoppable(readPieces(source, cut), signal)) await writeAll(out, piece);
        }),
      ),
    );
    await writeWhole(small, (out) => writeAll(out, Buffer.concat(first)), { overwrite });
    return { smallBytes: cut, bigBytes: size - cut };
  });
}

/**
 * Joins two part files of any size into an artifact file, written whole or not at all (0600).
 * @param parts Paths of the parts.
 * @param target Path of the artifact.
 * @throws What {@link join} throws; NOT_FOUND, SOURCE_UNSUPPORTED, SOURCE_CHANGED · ALREADY_EXISTS unless `overwrite`,
 *   PERMISSION_DENIED, READ_ONLY, NO_SPACE, IO_FAILED · ABORT_ERR
 * @see docs/legacy.md
 * @example
 * await joinFiles({ small: 'defects.small', big: 'defects.big' }, 'defects.enc');
 */
export async function joinFiles(
  parts: PartFiles,
  target: string,
  options?: LegacyCopyOptions,
): Promise<{ readonly bytes: number }> {
  const { small, big } = parse(partFiles, parts, 'parts');
  const to = parse(filePath, target, 'target');
  const { overwrite = false, signal } = parse(legacyCopyOptions, options) ?? {};
  return await abortable(signal, async () => {
    const before: Seen[] = [
      [small, await look(small)],
      [big, await look(big)],
    ];
    const bytes = before.reduce((sum, [, { size }]) => sum + Number(size), 0);
    checkSize(bytes);
    await commit(to, { overwrite }, (temporary) =>
      writeSynced(temporary, (out) =>
        steady(before, async () => {
          for (const [path] of before) for await (const piece of stoppable(readPieces(path), signal)) await writeAll(out, piece);
        }),
      ),
    );
    return { bytes };
  });
}

type Seen = readonly [path: string, before: BigIntStats];

async function look(path: string): Promise<BigIntStats> {
  const found = await withFileErrors('Cannot read', path, () => stat(path, { bigint: true }));
  if (!found.isFile()) throw notRegular(path, found);
  return found;
}

const IDENTITY = ['dev', 'ino', 'size', 'mtimeNs', 'ctimeNs'] as const;

/** SOURCE_CHANGED if, after `copy`, a file is not what it was: nothing else would show that the copy is of two versions. */
async function steady(files: readonly Seen[], copy: () => Promise<void>): Promise<void> {
  const checkUnchanged = async () => {
    for (const [path, before] of files) {
      const now = await look(path);
      if (IDENTITY.some((part) => now[part] !== before[part]))
        throw new ModelGuardError('SOURCE_CHANGED', `${path} changed while it was read`);
    }
  };
  // A file that was cut short fails the copy, too, but less clearly.
  await copy().catch(async (error: unknown) => {
    await checkUnchanged();
    throw error;
  });
  await checkUnchanged();
}
