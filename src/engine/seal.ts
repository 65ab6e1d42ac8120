/** Shared by `protect`, `rekey`, `migrate`, `encrypt` and `encryptFile`: starting to seal, and where the sealed bytes go. */
import { untilAborted } from '../base/abort.js';
import { join } from '../base/bytes.js';
import { ModelGuardError } from '../errors.js';
import { commit, patchSynced, readPieces, removeQuietly, type WriteOptions, writeAll } from '../files/files.js';
import { resolveSigner } from '../keys/signer.js';
import type { KeyHandle, NativeInput, NativeRecipient, NativeSealer, NativeWork } from '../native/binding.js';
import { call } from '../native/index.js';
import { type RunOptions, work } from '../native/work.js';
import { resolveRecipients } from '../recipients/resolve.js';
import { bigNameOf, label, splitStores, withStoreErrors } from '../stores/parts.js';
import type { BigPartSource, ModelRef, Stores } from '../stores/store.js';
import type { SplitRule } from './options.js';

/** The result of `protect` and `rekey`. */
export interface ProtectedModel {
  /** `name@version` */
  readonly ref: string;
  /** 32 hex digits, new for every encryption. */
  readonly payloadId: string;
  /** The tree digest that the publisher signs (docs/format.md section 5), 64 hex digits. */
  readonly digest: string;
  readonly smallBytes: number;
  readonly bigBytes: number;
  /** `pending` until a validator releases it, in stores that have approvals. */
  readonly state: 'released' | 'pending';
}

/** The result of `encryptFile`. */
export interface SealedFile {
  /** `name@version` */
  readonly ref: string;
  /** 32 hex digits. */
  readonly payloadId: string;
  /** 64 hex digits. */
  readonly digest: string;
  /** Size of the container. */
  readonly bytes: number;
}

/** Salt and commitment: no part begins before their end (docs/format.md, section 3). */
export const PREFIX = 56;
const PIECE = 4 * 1024 * 1024;

export const ruleOf = ({ maxBytes = 3072, ratio = 0.3 }: SplitRule = {}) => ({ maxBytes, ratio });

export interface Sealing {
  readonly ref: ModelRef;
  readonly format: string;
  readonly inputs: readonly NativeInput[];
  readonly recipients: readonly unknown[];
  readonly signer?: unknown;
}

/** Begins to seal, and lets go of keys and inputs when `task` is over, however it ends. */
export async function sealing<T>(
  { recipients, signer, ...contents }: Sealing,
  task: (sealer: NativeSealer) => Promise<T>,
): Promise<T> {
  const resolved = await resolveRecipients(recipients);
  return await sealingFor({ ...contents, recipients: resolved, signer: resolveSigner(signer) }, task);
}

interface ResolvedSealing extends Pick<Sealing, 'ref' | 'format' | 'inputs'> {
  readonly recipients: readonly NativeRecipient[];
  readonly signer?: KeyHandle | undefined;
}

/** {@link sealing} for recipients and a signer that are the addon's. */
export async function sealingFor<T>(
  { ref, ...contents }: ResolvedSealing,
  task: (sealer: NativeSealer) => Promise<T>,
): Promise<T> {
  const created = `${new Date().toISOString().slice(0, 19)}Z`;
  const sealer = await call((native) => native.seal({ ...ref, ...contents, created }));
  try {
    return await task(sealer);
  } finally {
    sealer.close();
  }
}

/** The sealed bytes from payload byte `from` on, in order. */
export async function* sealedBytes(
  sealer: NativeSealer,
  from: number,
  running: NativeWork,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) {
    const piece = await call(() => sealer.next(PIECE, from, running));
    if (piece.length === 0) return;
    yield piece;
  }
}

/** Everything after `header`; the digest is read back from it. */
export function sealed(sealer: NativeSealer, header: Uint8Array): { head: Uint8Array; digest: string } {
  const head = call(() => sealer.head());
  return { head, digest: call((native) => native.inspect(join(header, head))).digest };
}

/** Gives every byte of the container to `put`, the payload in its order and the header last. */
export async function putContainer(
  sealer: NativeSealer,
  run: RunOptions,
  put: (offset: number, bytes: Uint8Array) => unknown,
): Promise<void> {
  const { headerLength, plaintextSize } = sealer;
  await work('encrypt', plaintextSize, run, async (running) => {
    let at = headerLength + PREFIX;
    for await (const piece of sealedBytes(sealer, PREFIX, running)) {
      await put(at, piece);
      at += piece.length;
    }
  });
  const header = await call(() => sealer.finish());
  await put(0, join(header, sealed(sealer, header).head));
}

/** A container file, whole or not at all. */
export async function writeContainer(
  sealer: NativeSealer,
  { ref, file, overwrite }: WriteOptions & { readonly ref: ModelRef; readonly file: string },
  run: RunOptions,
): Promise<SealedFile> {
  const { headerLength, payloadLength, plaintextSize, payloadId } = sealer;
  let digest = '';
  await commit(file, { overwrite }, async (temporary) => {
    await work('encrypt', plaintextSize, run, (running) =>
      sealer.encryptToFile(temporary, PREFIX, headerLength + PREFIX, running),
    );
    const header = await call(() => sealer.finish());
    const begin = sealed(sealer, header);
    digest = begin.digest;
    await patchSynced(temporary, (handle) => writeAll(handle, join(header, begin.head), 0));
  });
  return { ref: label(ref), payloadId, digest, bytes: headerLength + payloadLength };
}

export interface Publication {
  readonly ref: ModelRef;
  readonly to: Stores;
  readonly split?: SplitRule | undefined;
  readonly overwrite: boolean;
}

/** Big part first, whole; then the small part, the only commit; then what is no longer needed. */
export async function publish(
  sealer: NativeSealer,
  { ref, to, split, overwrite }: Publication,
  run: RunOptions,
): Promise<ProtectedModel> {
  const { big } = splitStores(to);
  const part = cutOf(sealer, split);
  const { signal } = run;
  const target = await withStoreErrors('could not prepare the big part', ref, run, async () => big.localTarget?.(ref, part.name));
  const put: Put = (source) =>
    withStoreErrors('could not take the big part', ref, { signal, writes: true }, () =>
      big.putBig(ref, part.name, source, { signal }),
    );
  const header = await work('encrypt', sealer.plaintextSize, run, (running) =>
    target === undefined ? storeStream(sealer, part, running, put) : storeFile(sealer, part, target, running, put),
  );
  const { head, digest } = sealed(sealer, header);
  return commitSmall(
    join(header, head),
    { ref, to, overwrite },
    { payloadId: sealer.payloadId, digest, bigBytes: part.size },
    run,
  );
}

/** The big part is where it belongs: publishes. */
export async function commitSmall(
  small: Uint8Array,
  { ref, to, overwrite }: Pick<Publication, 'ref' | 'to' | 'overwrite'>,
  facts: Pick<ProtectedModel, 'payloadId' | 'digest' | 'bigBytes'>,
  { signal }: RunOptions,
): Promise<ProtectedModel> {
  const { small: smalls, big: bigs } = splitStores(to);
  const published = await withStoreErrors('could not take the small part', ref, { signal, writes: true }, () =>
    smalls.putSmall(ref, small, { ifAbsent: !overwrite, signal }),
  );
  // Best effort: the new version is published, whatever happens here.
  if (overwrite && smalls === bigs) await untilAborted(signal, bigs.collect({ signal })).catch(() => undefined);
  return { ref: label(ref), ...facts, smallBytes: small.length, state: published?.state ?? 'released' };
}

/** Where what is being sealed will be cut. */
export function cutOf({ headerLength, payloadLength, payloadId }: NativeSealer, split: SplitRule | undefined): BigPart {
  const offset = call((native) => native.cut(headerLength, payloadLength, ruleOf(split))) - headerLength;
  return { name: bigNameOf(payloadId, offset), offset, size: payloadLength - offset };
}

export interface BigPart {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}
type Put = (source: BigPartSource) => Promise<void>;

/** The engine writes the file itself. A source that changed is noticed before anything is stored. */
async function storeFile(
  sealer: NativeSealer,
  { offset, size }: BigPart,
  file: string,
  running: NativeWork,
  put: Put,
): Promise<Uint8Array> {
  try {
    // The umask decides: a big part is public.
    await call(() => sealer.encryptToFile(file, offset, 0, running, 0o666));
    const header = await call(() => sealer.finish());
    await put({ size, file, stream: (from) => readPieces(file, from), tree: () => call(() => sealer.tree()) });
    return header;
  } catch (error) {
    await removeQuietly(file);
    throw error;
  }
}

/** The store pulls. A source that changed fails the stream, so that the store discards what it has. */
async function storeStream(sealer: NativeSealer, { offset, size }: BigPart, running: NativeWork, put: Put): Promise<Uint8Array> {
  let header: Uint8Array | undefined;
  let started = false;
  async function* stream(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* sealedBytes(sealer, offset, running);
    header = await call(() => sealer.finish());
  }
  await put({
    size,
    stream: (from = 0) => {
      if (from !== 0 || started)
        throw new ModelGuardError('INVALID_ARGUMENT', 'This big part is not staged: it streams once, from its beginning', {
          advice: 'A chunk is encrypted once, ever: start again with a new protect().',
        });
      started = true;
      return stream();
    },
    tree: () => call(() => sealer.tree()),
  });
  if (!header) throw new ModelGuardError('IO_FAILED', 'The store did not read the big part to its end');
  return header;
}
