/** Cutting containers in two and joining them again (docs/format.md, section 10). No key is needed, nothing is decrypted. */
import type { FileHandle } from 'node:fs/promises';
import { z } from 'zod';
import { abortable } from './base/abort.js';
import { join } from './base/bytes.js';
import { MAX_SMALL } from './base/limits.js';
import { copyOf, filePath, parse, stableBytes } from './base/validate.js';
import { checkParts, checkPayload } from './engine/check-parts.js';
import { type Beginning, namingFile, wholeContainer } from './engine/container.js';
import { type OverwriteOptions, type PartFiles, type Parts, partFiles, type SplitRule, splitRule } from './engine/options.js';
import { ruleOf } from './engine/seal.js';
import { ModelGuardError } from './errors.js';
import {
  commit,
  type FileMode,
  openRegular,
  PRIVATE,
  readBounded,
  readPieces,
  refuseExisting,
  writeAll,
  writeSynced,
  writeWhole,
} from './files/files.js';
import { call } from './native/index.js';
import { type RunOptions, run, stepwise } from './native/work.js';

export const splitOptions = splitRule.optional();

export const splitFileOptions = z.strictObject({ ...splitRule.shape, ...run, overwrite: z.boolean().optional() }).optional();

export const mergeFilesOptions = z.strictObject({ ...run, overwrite: z.boolean().optional() }).optional();

const cutOf = ({ info }: Beginning, rule: SplitRule): number =>
  call((native) => native.cut(info.headerLength, info.payloadLength, ruleOf(rule)));

/**
 * Cuts a container in memory into its small and its big part.
 * @param container Copied before the call returns.
 * @param rule Where to cut; the defaults are 3072 bytes and 0.3.
 * @returns Both parts, and the `.tree` that may lie beside the big part (docs/format.md section 5).
 * @throws NOT_A_CONTAINER, CONTAINER_TRUNCATED, CONTAINER_MALFORMED, VERSION_UNSUPPORTED, DIGEST_MISMATCH, INVALID_ARGUMENT
 * @example
 * const { small, big } = await split(container);
 */
export async function split(container: Uint8Array, rule?: SplitRule): Promise<Parts & { readonly tree: Uint8Array }> {
  const whole = copyOf(container, 'container');
  const found = await wholeContainer(whole);
  const cut = cutOf(found, parse(splitOptions, rule, 'rule') ?? {});
  const tree = await checkPayload(found.head, found.rest, {});
  return { small: whole.slice(0, cut), big: whole.slice(cut), tree };
}

/**
 * Joins two parts in memory, after checking that they belong together.
 * @returns The container.
 * @throws PARTS_MISMATCH · NOT_A_CONTAINER, CONTAINER_TRUNCATED, CONTAINER_MALFORMED, VERSION_UNSUPPORTED, INVALID_ARGUMENT
 * @example
 * const container = await merge(small, big);
 */
export async function merge(small: Uint8Array, big: Uint8Array): Promise<Uint8Array> {
  const container = join(parse(stableBytes, small, 'small'), parse(stableBytes, big, 'big'));
  await checkParts(container.slice(0, small.length), { bytes: container.subarray(small.length) }, {});
  return container;
}

/**
 * Cuts a container file of any size into files, with the `.tree` beside the big one. Each is written whole or not at all, the
 * small part last. The small part is private (0600): passphrases and machines that open it can be guessed from it. The umask decides
 * about the others.
 * @param container Path of the container.
 * @param parts Paths of the parts to be written.
 * @throws What `split` throws; NOT_FOUND, ALREADY_EXISTS unless `overwrite`, NO_SPACE, READ_ONLY, IO_FAILED, ABORT_ERR
 * @example
 * await splitFile('defects.mguard', { small: 'defects.small', big: 'defects.big' });
 */
export async function splitFile(
  container: string,
  parts: PartFiles,
  options?: SplitRule & OverwriteOptions & RunOptions,
): Promise<{ readonly smallBytes: number; readonly bigBytes: number }> {
  const source = parse(filePath, container, 'container');
  const { small, big } = parse(partFiles, parts, 'parts');
  const { maxBytes, ratio, overwrite = false, ...run } = parse(splitFileOptions, options) ?? {};
  return await abortable(run.signal, async () => {
    if (!overwrite) for (const path of [small, big, `${big}.tree`]) await refuseExisting(path);
    const found = await wholeContainer(source);
    const cut = cutOf(found, { maxBytes, ratio });
    const head = await readRange(source, 0, cut);
    let tree = new Uint8Array();
    await commit(big, { overwrite }, async (temporary) => {
      await copied(temporary, new Uint8Array(), { file: source, from: cut, size: found.size - cut }, run, 'umask');
      // The written bytes are checked, because the source may change meanwhile.
      tree = new Uint8Array(await checkPayload(head, { file: temporary }, run));
    });
    await writeWhole(`${big}.tree`, (handle) => writeAll(handle, tree), { overwrite, mode: 'umask' });
    await writeWhole(small, (handle) => writeAll(handle, head), { overwrite });
    return { smallBytes: cut, bigBytes: found.size - cut };
  });
}

/**
 * Joins two parts of any size into a container file, written whole or not at all.
 * @param parts Paths of the parts.
 * @param target Path of the container.
 * @throws What `merge` throws; NOT_FOUND, ALREADY_EXISTS unless `overwrite`, NO_SPACE, READ_ONLY, IO_FAILED, ABORT_ERR
 * @example
 * await mergeFiles({ small: 'defects.small', big: 'defects.big' }, 'defects.mguard');
 */
export async function mergeFiles(
  parts: PartFiles,
  target: string,
  options?: OverwriteOptions & RunOptions,
): Promise<{ readonly bytes: number }> {
  const { small, big } = parse(partFiles, parts, 'parts');
  const to = parse(filePath, target, 'target');
  const { overwrite = false, ...run } = parse(mergeFilesOptions, options) ?? {};
  return await abortable(run.signal, async () => {
    const head = await readBounded(small, MAX_SMALL);
    const { bigSize } = await namingFile(small, () => call((native) => native.describeSmall(head)));
    const { handle, size } = await openRegular(big);
    await handle.close();
    if (size !== bigSize) throw new ModelGuardError('PARTS_MISMATCH', `${big} has ${size} bytes where ${small} says ${bigSize}`);
    await commit(to, { overwrite }, async (temporary) => {
      await copied(temporary, head, { file: big, from: 0, size }, run);
      await checkParts(head, { file: temporary, fileOffset: head.length }, run);
    });
    return { bytes: head.length + size };
  });
}

interface Rest {
  readonly file: string;
  readonly from: number;
  /** Bytes from there on. */
  readonly size: number;
}

/** A new file of `head` and the rest of another file. */
async function copied(
  target: string,
  head: Uint8Array,
  { file, from, size }: Rest,
  run: RunOptions,
  mode: FileMode = PRIVATE,
): Promise<void> {
  const write = async (handle: FileHandle, advance: (bytes: number) => void): Promise<void> => {
    await writeAll(handle, head);
    for await (const piece of readPieces(file, from)) {
      advance(piece.length);
      await writeAll(handle, piece);
    }
  };
  await stepwise('copy', size, run, (advance) => writeSynced(target, (handle) => write(handle, advance), mode));
}

async function readRange(path: string, start: number, end: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of readPieces(path, start, end)) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}
