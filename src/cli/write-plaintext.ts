/** Writes a decrypted model in the clear, to the place that the person named. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type AbortSignalLike, throwIfAborted } from '../base/abort.js';
import {
  makeFolder,
  refuseExisting,
  syncFolder,
  temporaryBeside,
  withFileErrors,
  writeAll,
  writeSynced,
  writeWhole,
} from '../files/files.js';
import type { GuardedFile, GuardedModel } from '../index.js';
import type { Context } from './context.js';
import { usage } from './flags/common.js';
import { isFolder } from './sdk.js';

const PIECE = 8 * 1024 * 1024;
const MAX_ARRAY = 2 ** 32;

/** Opens a model and writes it to `out`, which `label` (an argument or a flag) names. */
export async function writeOpened(
  out: string,
  label: string,
  context: Context,
  open: () => Promise<GuardedModel>,
): Promise<void> {
  if (out !== '-') await refuseExisting(out);
  const model = await open();
  try {
    context.note(`Plaintext leaves protected memory, because ${label} asks for it: ${out === '-' ? 'stdout' : out}`);
    await writePlaintext(model, out, context);
  } finally {
    await model[Symbol.asyncDispose]();
  }
}

/** To `-`, a new file, or for several files a new folder; whole or not at all, 0600. */
async function writePlaintext(model: GuardedModel, out: string, { stdout, signal }: Context): Promise<void> {
  const [file] = model.files.values();
  const single = isFolder(model) ? undefined : file;
  if (out === '-') {
    if (!single) throw usage('This model is a folder: give a folder instead of -');
    for await (const piece of pieces(single, signal)) await stdout.take(piece);
  } else if (single) {
    await writeWhole(out, (handle) => forEachPiece(single, signal, (piece) => writeAll(handle, piece)), { overwrite: false });
  } else {
    await writeFolder(model, resolve(out), signal);
  }
}

async function writeFolder(model: GuardedModel, out: string, signal: AbortSignalLike): Promise<void> {
  await refuseExisting(out);
  const temporary = temporaryBeside(out);
  try {
    await withFileErrors('Cannot write', out, async () => {
      await mkdir(temporary, { mode: 0o700 });
      for (const file of model.files.values()) {
        // The format refuses every path that would leave the folder (docs/format.md, section 4).
        const path = join(temporary, ...file.name.split('/'));
        await makeFolder(dirname(path));
        await writeSynced(path, (handle) => forEachPiece(file, signal, (piece) => writeAll(handle, piece)));
        await syncFolder(dirname(path));
      }
      await rename(temporary, out);
    });
    await syncFolder(dirname(out));
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

async function forEachPiece(
  file: GuardedFile,
  signal: AbortSignalLike,
  write: (piece: Uint8Array) => Promise<void>,
): Promise<void> {
  for await (const piece of pieces(file, signal)) await write(piece);
}

async function* pieces(file: GuardedFile, signal: AbortSignalLike): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.size; at += PIECE) {
    throwIfAborted(signal);
    const length = Math.min(PIECE, file.size - at);
    yield file.size <= MAX_ARRAY ? file.bytes.subarray(at, at + length) : await file.read(at, length);
  }
}
