/** A big part on its way into a bucket: in one request where it is small, else in pieces, which a later run may go on with. */
import { createHash } from 'node:crypto';
import type { AbortSignalLike } from '../../abort.js';
import { throwIfAborted } from '../../abort.js';
import { hasCode, isModelGuardError, ModelGuardError } from '../../errors.js';
import { readPieces } from '../../files.js';
import { hintOf } from '../../http/hints.js';
import type { Pace } from '../../http/pace.js';
import { within } from '../../http/watch.js';
import { MAX_PIECES } from '../../limits.js';
import { sendPieces } from '../../transfer/multipart.js';
import type { BigPartSource } from '../store.js';
import type { About, Bucket } from './bucket.js';
import { markOf } from './collect.js';

/** The smallest piece that S3 takes, but for the last one. */
const LEAST_PIECE = 5 * 1024 * 1024;
const MIB = 1024 * 1024;
/** To put many pieces together takes its time. */
const COMPLETE_MS = 5 * 60_000;
const CLEAN_UP_MS = 5_000;

export interface UploadSettings {
  readonly pieceBytes: number;
  readonly connections: number | undefined;
  readonly pace: Pace;
  readonly timeoutMs: number;
}

/** What is noted for a later run; without `upload` the part goes in one request. */
interface Noted {
  readonly upload?: string | undefined;
  readonly pieceBytes: number;
}

/**
 * Whole or not at all. ALREADY_EXISTS for a key that was used before, as far as the keys of the store allow to see it: names of big
 * parts are random, and used by one publication. IO_FAILED where what is there has another size.
 */
export async function upload(
  bucket: Bucket,
  key: string,
  source: BigPartSource,
  about: About,
  settings: UploadSettings,
): Promise<void> {
  const noted = parseNotes(await source.notes?.read());
  const there = await sizeOf(bucket, key, about);
  if (there === undefined) return await send(bucket, key, source, about, settings, noted);
  if (there !== source.size) throw otherSize(there, source.size, about.what);
  if (!noted) throw new ModelGuardError('ALREADY_EXISTS', `${about.what} is stored already`);
  await renewMark(bucket, key, about);
  source.skipped?.(there);
}

const otherSize = (there: number, size: number, what: string): ModelGuardError =>
  new ModelGuardError('IO_FAILED', `${what} is stored already, with ${there} bytes instead of ${size}`, {
    advice: 'Nobody else uses its name: remove it from the storage, then publish again.',
  });

/** The part is needed again: its grace begins anew. Written, not removed, for that takes a right which publishing does without. */
async function renewMark(bucket: Bucket, key: string, about: About): Promise<void> {
  const mark = markOf(key);
  if ((await sizeOf(bucket, mark, about)) !== undefined) await bucket.write(mark, new Uint8Array(), about);
}

/** Undefined also where the keys do not let us see it. */
async function sizeOf(bucket: Bucket, key: string, about: About): Promise<number | undefined> {
  try {
    return (await bucket.facts(key, about)).size;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'PERMISSION_DENIED')) return undefined;
    throw error;
  }
}

async function send(
  bucket: Bucket,
  key: string,
  source: BigPartSource,
  about: About,
  settings: UploadSettings,
  noted: Noted | undefined,
): Promise<void> {
  const { size, notes } = source;
  if (size <= settings.pieceBytes) {
    // In smaller pieces by an earlier run: with its note it would be forgotten.
    if (noted?.upload !== undefined) await abandon(bucket, key, noted.upload, about.what);
    await notes?.write(JSON.stringify({ pieceBytes: settings.pieceBytes } satisfies Noted));
    const bytes = await gathered(source, about.signal);
    await orThere(bucket, key, size, about, bucket.write(key, bytes, { ...about, ifAbsent: true }));
    return;
  }
  const earlier = source.file === undefined ? undefined : await takenUp(bucket, key, noted, { file: source.file, size }, about);
  const { id, pieceBytes, etags, present } = earlier ?? {
    id: await bucket.begin(key, about),
    pieceBytes: Math.max(settings.pieceBytes, Math.ceil(size / MAX_PIECES / MIB) * MIB),
    etags: new Map<number, string>(),
    present: undefined,
  };
  try {
    // Before the first piece: what nobody noted is only found by its age.
    if (!earlier) await notes?.write(JSON.stringify({ upload: id, pieceBytes } satisfies Noted));
    await sendPieces({
      size,
      pieceBytes,
      source,
      present,
      connections: settings.connections,
      pace: settings.pace,
      signal: about.signal,
      send: async (number, bytes, signal) => {
        etags.set(number, await bucket.send(key, id, number, bytes, { ...about, signal }));
      },
    });
    const timeoutMs = Math.max(settings.timeoutMs, COMPLETE_MS);
    await orThere(bucket, key, size, about, bucket.complete(key, id, etags, { ...about, timeoutMs }));
  } catch (error) {
    if (!notes) await abandon(bucket, key, id, about.what);
    throw error;
  }
}

/** A write that fails because it happened before, or whose outcome nobody knows, did happen if the whole part is there now. */
async function orThere(bucket: Bucket, key: string, size: number, about: About, writing: Promise<void>): Promise<void> {
  try {
    await writing;
  } catch (error) {
    const perhaps = hasCode(error, 'ALREADY_EXISTS') || hasCode(error, 'NOT_FOUND') || hintOf(error)?.effect === 'unknown';
    if (!perhaps) throw error;
    const there = await sizeOf(bucket, key, about).catch(() => undefined);
    if (there === undefined) throw error;
    if (there !== size) throw otherSize(there, size, about.what);
  }
}

/**
 * The upload of an earlier run, with the pieces that hold what is staged; undefined if it is gone. A piece is known by its entity tag, which
 * is its MD5. Where the bucket encrypts under keys of its own, it is not: every piece is sent again.
 */
async function takenUp(
  bucket: Bucket,
  key: string,
  noted: Noted | undefined,
  staged: { readonly file: string; readonly size: number },
  about: About,
) {
  if (noted?.upload === undefined) return undefined;
  const { upload: id, pieceBytes } = noted;
  const etags = new Map<number, string>();
  const present = new Map<number, number>();
  try {
    for await (const { number, size, etag } of bucket.sent(key, id, about)) {
      const { length, tag } = await tagOf(staged, number, pieceBytes);
      if (size !== length || etag.replaceAll('"', '') !== tag) continue;
      etags.set(number, etag);
      present.set(number, size);
    }
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
  return { id, pieceBytes, etags, present };
}

/** Of a piece, from 1, as it is staged. */
async function tagOf({ file, size }: { readonly file: string; readonly size: number }, number: number, pieceBytes: number) {
  const start = Math.min(size, (number - 1) * pieceBytes);
  const end = Math.min(size, start + pieceBytes);
  const hash = createHash('md5');
  for await (const bytes of readPieces(file, start, end)) hash.update(bytes);
  return { length: end - start, tag: hash.digest('hex') };
}

/** Gives up what was noted. What is gone already is no failure. */
export async function abandonNoted(bucket: Bucket, key: string, notes: string, about: About): Promise<void> {
  const id = parseNotes(notes)?.upload;
  if (id === undefined) return;
  await bucket.abort(key, id, about).catch((error: unknown) => {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
  });
}

/** Best effort, also after a cancellation: collect() finds it later. */
async function abandon(bucket: Bucket, key: string, id: string, what: string): Promise<void> {
  await within(CLEAN_UP_MS, undefined, (signal) => bucket.abort(key, id, { what, signal })).catch((error: unknown) => {
    if (!isModelGuardError(error)) throw error;
  });
}

/** Notes of another store, or of nobody, are none. */
function parseNotes(text: string | undefined): Noted | undefined {
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

/** All of a part that fits into one piece. */
async function gathered(source: BigPartSource, signal: AbortSignalLike | undefined): Promise<Uint8Array> {
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
