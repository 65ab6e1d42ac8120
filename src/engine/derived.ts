/**
 * Artifacts that a runtime derives from a model: each is made in a file in memory, and kept sealed in the cache of ciphertext, as a container
 * for a key that only the opened model gives, on this machine (docs/format.md, section 14).
 */
import { join as joinPath } from 'node:path';
import { abortable, throwIfAborted, untilAborted } from '../base/abort.js';
import { join } from '../base/bytes.js';
import { type CiphertextCache, openCache } from '../cache/cache.js';
import type { DerivedName } from '../cache/entry.js';
import type { CacheOptions } from '../cache/options.js';
import { warnUnused } from '../cache/warn.js';
import { isModelGuardError, ModelGuardError, type ModelGuardErrorCode } from '../errors.js';
import { LinkFolder, ownProcess } from '../files/link-folder.js';
import type { KeyHandle, NativeModel, NativeOpened } from '../native/binding.js';
import { call } from '../native/index.js';
import { type RunOptions, work } from '../native/work.js';
import type { Artifact, ArtifactMaker, ArtifactOptions, ArtifactSource } from './artifact.js';
import { openContainer } from './open.js';
import { PREFIX, sealed, sealedBytes, sealingFor } from './seal.js';

/** Codes of a kept file that is not what was kept. */
const DAMAGED: ReadonlySet<ModelGuardErrorCode> = new Set([
  'NOT_A_CONTAINER',
  'CONTAINER_TRUNCATED',
  'CONTAINER_MALFORMED',
  'VERSION_UNSUPPORTED',
  'CRITICAL_UNSUPPORTED',
  'LIMIT_EXCEEDED',
  'MANIFEST_INVALID',
  'REFERENCE_MISMATCH',
  'INTEGRITY_FAILED',
  'NO_MATCHING_IDENTITY',
]);
/** Codes of a kept file that cannot be read now, and may be read later. */
const UNREADABLE: ReadonlySet<ModelGuardErrorCode> = new Set([
  'NOT_FOUND',
  'PERMISSION_DENIED',
  'SOURCE_UNSUPPORTED',
  'SOURCE_CHANGED',
  'IO_FAILED',
]);

/** The same for all artifacts, because a header is public. */
const REF = { name: 'derived', version: '0' } as const;

/** What one call of `derive` works with. */
interface Making {
  readonly name: string;
  readonly entry: DerivedName;
  readonly key: KeyHandle;
  readonly cache: CiphertextCache | undefined;
  readonly run: RunOptions;
}

export class Deriver implements ArtifactSource {
  /** Not the data key: an artifact is all that it can open. */
  readonly #key: KeyHandle;
  readonly #cache: CacheOptions | false | undefined;

  /** @param cache Where `derive` is told of no other. */
  constructor(opened: NativeOpened, cache?: CacheOptions | false) {
    this.#key = call(() => opened.derivingKey());
    this.#cache = cache;
  }

  derive({ name, runtime }: Artifact, make: ArtifactMaker, { cache = this.#cache, remake = false, ...run }: ArtifactOptions) {
    return abortable(run.signal, async () => {
      const { key, tag } = await call((native) => native.derivedKey(this.#key, runtime, name));
      const entry = { derived: Buffer.from(tag).toString('hex') };
      const making = { name, entry, key, cache: openCache(cache), run };
      const kept = remake ? undefined : await find(making);
      if (kept) return { model: kept, made: false };
      throwIfAborted(run.signal);
      const model = await makeInMemory(name, make, run);
      try {
        // What is there of the same size would count as kept.
        await making.cache?.drop(entry);
        await keep(model, making);
      } catch (error) {
        model.dispose();
        throw error;
      }
      return { model, made: true };
    });
  }
}

async function find({ entry, key, cache, run }: Making): Promise<NativeModel | undefined> {
  const file = await cache?.find(entry);
  if (file === undefined) return undefined;
  const trust = { ...REF, publishers: [] };
  try {
    const opening = { identities: [key], hardware: false, machineFiles: [], trust, maxDerivations: 0 };
    return (await openContainer(file, opening, { ...run, as: 'path' })).model;
  } catch (error) {
    if (!isModelGuardError(error) || !(DAMAGED.has(error.code) || UNREADABLE.has(error.code))) throw error;
    // Another process may have evicted it.
    if (error.code === 'NOT_FOUND') return undefined;
    const fault = DAMAGED.has(error.code) ? 'is damaged' : 'cannot be read';
    warnUnused(`${file} ${fault} (${error.code}); the artifact is made again.`);
    return undefined;
  }
}

/** A fault of the cache is its warning: the artifact is made again next time. */
async function keep(model: NativeModel, { name, entry, key, cache, run }: Making): Promise<void> {
  if (!cache) return;
  const inputs = [{ path: name, model: { handle: model, index: 0 } }];
  await sealingFor({ ref: REF, format: 'unknown', inputs, recipients: [{ key }] }, async (sealer) => {
    const { headerLength, payloadLength, plaintextSize } = sealer;
    const writer = await cache.begin({ ...entry, size: headerLength + payloadLength });
    if (!writer) return;
    try {
      await work('encrypt', plaintextSize, run, async (running) => {
        let at = headerLength + PREFIX;
        for await (const piece of sealedBytes(sealer, PREFIX, running)) {
          await writer.write(at, piece);
          at += piece.length;
        }
      });
      const header = await call(() => sealer.finish());
      await writer.write(0, join(header, sealed(sealer, header).head));
      await writer.commit();
    } finally {
      await writer.abandon();
    }
  });
}

/** What `make` writes to a path that leads to a file in memory. */
async function makeInMemory(name: string, make: ArtifactMaker, { signal }: RunOptions): Promise<NativeModel> {
  const file = call((native) => native.memoryFile());
  try {
    const targets = new Map([[name, `/proc/${ownProcess()}/fd/${file.descriptor}`]]);
    const links = new LinkFolder(targets, { inMemory: true });
    try {
      await untilAborted(signal, Promise.resolve(make(joinPath(links.path, name))));
      if (!links.holdsOnly(targets)) throw writtenBeside();
    } finally {
      links.remove();
    }
    return withContent(call(() => file.seal(name)));
  } finally {
    file.close();
  }
}

/** The mode of the folder keeps other users from that, but not root. */
const writtenBeside = (): ModelGuardError =>
  new ModelGuardError(
    'SOURCE_UNSUPPORTED',
    'make wrote another file than the one at the path of the artifact, or replaced that',
    {
      advice:
        'Have the runtime write one file, to that path itself: weights within the file, and no temporary file that is renamed.',
    },
  );

function withContent(model: NativeModel): NativeModel {
  if (model.files[0]?.size) return model;
  model.dispose();
  throw new ModelGuardError('SOURCE_EMPTY', 'make wrote nothing to the path of the artifact', {
    advice: 'Write the artifact to the path that make is given, and wait for it: a file beside that path is not it.',
  });
}
