/** Uploads a big part into an object storage: in one request where it is small, else in pieces, which a later run may go on with. */
import { createHash } from 'node:crypto';
import { type AbortSignalLike, throwIfAborted } from '../../base/abort.js';
import { hasCode, isModelGuardError, ModelGuardError } from '../../errors.js';
import { readPieces } from '../../files/files.js';
import type { Pace } from '../../http/retry.js';
import { retryHintOf } from '../../http/retry-hints.js';
import { within } from '../../http/watch.js';
import { sendPieces } from '../../transfer/multipart.js';
import { choosePieceBytes, pieceSize } from '../../transfer/pieces.js';
import type { BigPartSource } from '../store.js';
import { markOf } from './collect.js';
import { COMPLETE_MS, type ObjectRequest, type ObjectStorage } from './storage.js';

/** The smallest piece that S3 takes, but for the last one. */
const LEAST_PIECE = 5 * 1024 * 1024;
const CLEAN_UP_MS = 5_000;

export interface UploadSettings {
  readonly pieceBytes: number;
  readonly connections?: number | undefined;
  readonly pace: Pace;
  readonly timeoutMs: number;
}

/** Notes for a later run; without `upload` the part goes in one request. */
interface ResumeNotes {
  readonly upload?: string | undefined;
  readonly pieceBytes: number;
}

/**
 * Uploads whole or not at all.
 * @throws ALREADY_EXISTS for a name that was used before, as far as the credentials allow to see it: names of big parts are random, and
 *   used by one publication. IO_FAILED where an object of another size is there
 */
export async function upload(
  storage: ObjectStorage,
  key: string,
  source: BigPartSource,
  request: ObjectRequest,
  settings: UploadSettings,
): Promise<void> {
  const noted = parseNotes(await source.notes?.read());
  const there = await sizeOf(storage, key, request);
  if (there === undefined) return await send(storage, key, source, request, settings, noted);
  if (there !== source.size) throw otherSize(there, source.size, request.what);
  if (!noted) throw new ModelGuardError('ALREADY_EXISTS', `${request.what} is stored already`);
  await renewMark(storage, key, request);
  source.skipped?.(there);
}

const otherSize = (there: number, size: number, what: string): ModelGuardError =>
  new ModelGuardError('IO_FAILED', `${what} is stored already, with ${there} bytes instead of ${size}`, {
    advice: 'No other part has this name: remove it from the storage, then publish again.',
  });

/** Restarts the grace of a part that is needed again. The mark is written, not removed: removing takes a right that publishing does without. */
async function renewMark(storage: ObjectStorage, key: string, request: ObjectRequest): Promise<void> {
  const mark = markOf(key);
  if ((await sizeOf(storage, mark, request)) !== undefined) await storage.write(mark, new Uint8Array(), request);
}

/** Undefined also where the credentials do not allow to see it. */
async function sizeOf(storage: ObjectStorage, key: string, request: ObjectRequest): Promise<number | undefined> {
  try {
    return (await storage.head(key, request)).size;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'PERMISSION_DENIED')) return undefined;
    throw error;
  }
}

async function send(
  storage: ObjectStorage,
  key: string,
  source: BigPartSource,
  request: ObjectRequest,
  settings: UploadSettings,
  noted: ResumeNotes | undefined,
): Promise<void> {
  const { size, notes } = source;
  if (size <= settings.pieceBytes) {
    // An earlier run sent smaller pieces. Its upload is known from its note alone, which is replaced now.
    if (noted?.upload !== undefined) await abandon(storage, key, noted.upload, request.what);
    await notes?.write(JSON.stringify({ pieceBytes: settings.pieceBytes } satisfies ResumeNotes));
    const bytes = await readWhole(source, request.signal);
    await confirmWritten(storage, key, size, request, storage.write(key, bytes, { ...request, ifAbsent: true }));
    return;
  }
  const earlier =
    source.file === undefined ? undefined : await resumeUpload(storage, key, noted, { file: source.file, size }, request);
  const { id, pieceBytes, etags, present } = earlier ?? {
    id: await storage.createUpload(key, request),
    pieceBytes: choosePieceBytes(size, settings.pieceBytes),
    etags: new Map<number, string>(),
    present: undefined,
  };
  try {
    // Before the first piece: without a note an upload is only found by its age.
    if (!earlier) await notes?.write(JSON.stringify({ upload: id, pieceBytes } satisfies ResumeNotes));
    await sendPieces({
      size,
      pieceBytes,
      source,
      present,
      connections: settings.connections,
      pace: settings.pace,
      signal: request.signal,
      send: async (number, bytes, signal) => {
        etags.set(number, await storage.sendPiece(key, id, number, bytes, { ...request, signal }));
      },
    });
    const timeoutMs = Math.max(settings.timeoutMs, COMPLETE_MS);
    await confirmWritten(storage, key, size, request, storage.completeUpload(key, id, etags, { ...request, timeoutMs }));
  } catch (error) {
    if (!notes) await abandon(storage, key, id, request.what);
    throw error;
  }
}

/** Awaits a write. If it failed because it happened before, or with an unknown outcome, it counts as done where the whole part is there. */
async function confirmWritten(
  storage: ObjectStorage,
  key: string,
  size: number,
  request: ObjectRequest,
  writing: Promise<void>,
): Promise<void> {
  try {
    await writing;
  } catch (error) {
    const perhaps = hasCode(error, 'ALREADY_EXISTS') || hasCode(error, 'NOT_FOUND') || retryHintOf(error)?.effect === 'unknown';
    if (!perhaps) throw error;
    const there = await sizeOf(storage, key, request).catch(() => undefined);
    if (there === undefined) throw error;
    if (there !== size) throw otherSize(there, size, request.what);
  }
}

/**
 * The upload of an earlier run, with the pieces that hold the staged bytes; undefined if it is gone. A piece is recognised by its entity
 * tag, which is its MD5. Where the storage encrypts under its own keys, it is not: every piece is sent again.
 */
async function resumeUpload(
  storage: ObjectStorage,
  key: string,
  noted: ResumeNotes | undefined,
  staged: { readonly file: string; readonly size: number },
  request: ObjectRequest,
) {
  if (noted?.upload === undefined) return undefined;
  const { upload: id, pieceBytes } = noted;
  const etags = new Map<number, string>();
  const present = new Map<number, number>();
  try {
    for await (const { number, size, etag } of storage.listPieces(key, id, request)) {
      const { length, md5 } = await pieceDigest(staged, number, pieceBytes);
      if (size !== length || etag.replaceAll('"', '') !== md5) continue;
      etags.set(number, etag);
      present.set(number, size);
    }
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
  return { id, pieceBytes, etags, present };
}

/** Length and MD5 of a piece, from number 1, as it is staged. */
async function pieceDigest({ file, size }: { readonly file: string; readonly size: number }, number: number, pieceBytes: number) {
  const length = pieceSize(number, size, pieceBytes);
  const start = (number - 1) * pieceBytes;
  const hash = createHash('md5');
  for await (const bytes of readPieces(file, start, start + length)) hash.update(bytes);
  return { length, md5: hash.digest('hex') };
}

/** Aborts the upload that notes name. One that is gone already is no failure. */
export async function abandonNoted(storage: ObjectStorage, key: string, notes: string, request: ObjectRequest): Promise<void> {
  const id = parseNotes(notes)?.upload;
  if (id === undefined) return;
  await storage.abortUpload(key, id, request).catch((error: unknown) => {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
  });
}

/** Best effort, also after a cancellation: `collect` finds the rest later. */
async function abandon(storage: ObjectStorage, key: string, id: string, what: string): Promise<void> {
  await within(CLEAN_UP_MS, undefined, (signal) => storage.abortUpload(key, id, { what, signal })).catch((error: unknown) => {
    if (!isModelGuardError(error)) throw error;
  });
}

/** Notes of another store, and damaged ones, count as none. */
function parseNotes(text: string | undefined): ResumeNotes | undefined {
  if (text === undefined) return undefined;
  try {
    const { upload, pieceBytes } = JSON.parse(text) as { upload?: unknown; pieceBytes?: unknown };
    if (upload !== undefined && (typeof upload !== 'string' || upload === '')) return undefined;
    if (typeof pieceBytes !== 'number' || !Number.isSafeInteger(pieceBytes) || pieceBytes < LEAST_PIECE) return undefined;
    return { upload, pieceBytes };
  } catch {
    return undefined;
  }
}

/** The bytes of a part that fits into one piece. */
async function readWhole(source: BigPartSource, signal: AbortSignalLike | undefined): Promise<Uint8Array> {
  const wrong = () =>
    new ModelGuardError('IO_FAILED', `The source of a big part does not give the ${source.size} bytes that it says it has`);
  const bytes = new Uint8Array(source.size);
  let filled = 0;
  for await (const piece of source.stream()) {
    throwIfAborted(signal);
    if (filled + piece.length > bytes.length) throw wrong();
    bytes.set(piece, filled);
    filled += piece.length;
  }
  if (filled !== bytes.length) throw wrong();
  return bytes;
}
