/**
 * Publishing by way of a staging folder: everything is encrypted into it first, then sent from there, so that after a crash the same call
 * sends on. No key is staged, and no chunk is encrypted twice.
 */
import { throwIfAborted, untilAborted } from '../base/abort.js';
import { join } from '../base/bytes.js';
import { checkParts } from '../engine/check-parts.js';
import { commitSmall, cutOf, type ProtectedModel, type Publication, type Sealing, sealed, sealing } from '../engine/seal.js';
import { hasCode, isModelGuardError, type ModelGuardErrorCode } from '../errors.js';
import { readPieces, syncFile } from '../files/files.js';
import { call } from '../native/index.js';
import { type RunOptions, stepwise, work } from '../native/work.js';
import { bigPartOf, label, splitStores, withStoreErrors } from '../stores/parts.js';
import { alreadyPublished, publishedAs } from '../stores/published.js';
import { type StagingFolder, withStaging } from './folder.js';
import { checkStaged, type Intent, intentOf } from './intent.js';

/** Codes of staged files that are damaged. Other failures, such as too many open files, may pass. */
const DAMAGE: ReadonlySet<ModelGuardErrorCode> = new Set([
  'NOT_FOUND',
  'SOURCE_UNSUPPORTED',
  'LIMIT_EXCEEDED',
  'NOT_A_CONTAINER',
  'CONTAINER_TRUNCATED',
  'CONTAINER_MALFORMED',
  'VERSION_UNSUPPORTED',
  'CRITICAL_UNSUPPORTED',
  'MANIFEST_INVALID',
  'REFERENCE_MISMATCH',
  'SIGNATURE_MISSING',
  'SIGNATURE_INVALID',
  'NO_MATCHING_IDENTITY',
  'INTEGRITY_FAILED',
  'DIGEST_MISMATCH',
  'PARTS_MISMATCH',
]);

/** A complete staged publication; its big part is in a file. */
interface Staged {
  readonly small: Uint8Array;
  readonly tree: Uint8Array;
}

/**
 * Publishes what is staged in `dir` from an earlier run of the same call, or else stages it now.
 * @throws IN_USE, and what sealing and stores throw
 */
export async function publishStaged(
  dir: string,
  request: Sealing,
  publication: Publication,
  run: RunOptions,
): Promise<ProtectedModel> {
  const { ref, to, split, overwrite } = publication;
  const intent = await intentOf(request, split, run);
  return await withStaging(dir, ref, async (staging) => {
    const small = await committed(staging, request, intent, run);
    if (!small) await discard(staging, publication, run);
    const there = await publishedAs(splitStores(to).small, ref, run);
    if (small && there?.payloadId === factsOf(small).payloadId) {
      await staging.clear();
      return { ref: label(ref), ...factsOf(small), smallBytes: small.length, state: there.state };
    }
    if (there && !overwrite) throw alreadyPublished(ref);
    const found = small && (await whole(small, staging, run));
    if (small && !found) await discard(staging, publication, run);
    const published = await send(found ?? (await stage(staging, request, publication, intent, run)), staging, publication, run);
    // Published it is, whatever happens here; a later call clears up.
    await staging.clear().catch(() => undefined);
    return published;
  });
}

/** The small part that is staged, if it is what this call would make. */
async function committed(
  staging: StagingFolder,
  request: Sealing,
  intent: Intent,
  run: RunOptions,
): Promise<Uint8Array | undefined> {
  return unlessDamaged(async () => {
    const { small, source } = await staging.read();
    if (source !== intent.source) return undefined;
    await checkStaged(small, request, intent, run);
    return small;
  });
}

/** Its tree stands for every byte of the big part. */
const whole = (small: Uint8Array, staging: StagingFolder, run: RunOptions): Promise<Staged | undefined> =>
  unlessDamaged(async () => ({ small, tree: await checkParts(small, { file: staging.big }, run) }));

async function unlessDamaged<T>(task: () => Promise<T>): Promise<T | undefined> {
  try {
    return await task();
  } catch (error) {
    if (isModelGuardError(error) && DAMAGE.has(error.code)) return undefined;
    throw error;
  }
}

/** Removes the staged files, and the bytes already sent, if the store can do that. */
async function discard(staging: StagingFolder, { ref, to }: Publication, { signal }: RunOptions): Promise<void> {
  const { big } = splitStores(to);
  const upload = await staging.upload();
  if (upload) {
    try {
      await untilAborted(signal, Promise.resolve(big.abandonBig?.(ref, upload.part, upload.notes, { signal })));
    } catch {
      throwIfAborted(signal);
    }
  }
  await staging.clear();
}

async function stage(
  staging: StagingFolder,
  request: Sealing,
  { split }: Publication,
  { source }: Intent,
  run: RunOptions,
): Promise<Staged> {
  try {
    return await sealing(request, async (sealer) => {
      const { offset } = cutOf(sealer, split);
      const header = await work('encrypt', sealer.plaintextSize, run, async (running) => {
        await call(() => sealer.encryptToFile(staging.big, offset, 0, running));
        return await call(() => sealer.finish());
      });
      await syncFile(staging.big);
      const small = join(header, sealed(sealer, header).head);
      await staging.commit(small, source);
      return { small, tree: call(() => sealer.tree()) };
    });
  } catch (error) {
    await staging.clear().catch(() => undefined);
    throw error;
  }
}

async function send({ small, tree }: Staged, staging: StagingFolder, publication: Publication, run: RunOptions) {
  const { ref, to } = publication;
  const { big } = splitStores(to);
  const { signal } = run;
  const { name, size } = bigPartOf(small);
  try {
    await stepwise('upload', size, run, (advance, skipped) => {
      async function* stream(from = 0): AsyncGenerator<Uint8Array, void, undefined> {
        for await (const piece of readPieces(staging.big, from)) {
          advance(piece.length);
          yield piece;
        }
      }
      const source = { size, file: staging.big, stream, tree: () => tree, notes: staging.notes(name), skipped };
      return withStoreErrors('could not take the big part', ref, { signal, writes: true }, () =>
        big.putBig(ref, name, source, { signal }),
      );
    });
  } catch (error) {
    // An earlier run had sent it to the end: no other part has this name, and a store takes a part whole or not at all.
    if (!hasCode(error, 'ALREADY_EXISTS')) throw error;
  }
  return await commitSmall(small, publication, factsOf(small), run);
}

function factsOf(small: Uint8Array): Pick<ProtectedModel, 'payloadId' | 'digest' | 'bigBytes'> {
  const { payloadId, digest } = call((native) => native.inspect(small));
  return { payloadId, digest, bigBytes: bigPartOf(small).size };
}
