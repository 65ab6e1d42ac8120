/**
 * Artifacts that a runtime derives from a model: each is made in a file in memory, and kept sealed in the cache of ciphertext, as a container
 * for a key that only the opened model gives, on this machine (docs/format.md, section 14).
 */
import { join } from 'node:path';
import { abortable, throwIfAborted, untilAborted } from '../base/abort.js';
import { type CiphertextCache, openCache } from '../cache/cache.js';
import type { DerivedName } from '../cache/entry.js';
import type { CacheOptions } from '../cache/options.js';
import { warnUnused } from '../cache/warn.js';
import { isModelGuardError, ModelGuardError, type ModelGuardErrorCode } from '../errors.js';
import { LinkFolder, ownProcess } from '../files/link-folder.js';
import type { KeyHandle, NativeModel, NativeOpened } from '../native/binding.js';
import { call } from '../native/index.js';
import type { RunOptions } from '../native/work.js';
import type { Artifact, ArtifactMaker, ArtifactOptions, ArtifactSource } from './artifact.js';
import { openContainer } from './open.js';
import { putContainer, sealingFor } from './seal.js';

/** Codes that are no fault of a kept file: another try would meet them again. */
const NOT_OF_THE_FILE: ReadonlySet<ModelGuardErrorCode> = new Set([
  'ABORT_ERR',
  'INVALID_ARGUMENT',
  'OUT_OF_MEMORY',
  'PROCESS_FORKED',
  'INTERNAL',
]);

/** The same for all artifacts, because a header is public. */
const REF = { name: 'derived', version: '0' } as const;

/** An artifact that is asked for. */
interface Wanted {
  readonly name: string;
  readonly entry: DerivedName;
  readonly key: KeyHandle;
  readonly cache: CiphertextCache | undefined;
  readonly run: RunOptions;
}

export class Deriver implements ArtifactSource {
  /** Not the data key: an artifact is all that it can open. */
  readonly #key: KeyHandle;
  readonly #payloadId: string;
  readonly #cache: CacheOptions | false | undefined;

  /** @param cache Where `derive` is told of no other. */
  constructor(opened: NativeOpened, cache?: CacheOptions | false) {
    this.#key = call(() => opened.derivingKey());
    this.#payloadId = opened.info.payloadId;
    this.#cache = cache;
  }

  derive({ name, runtime }: Artifact, make: ArtifactMaker, { cache = this.#cache, remake = false, ...run }: ArtifactOptions) {
    const metadata = (made: boolean) => ({ name, runtime, payloadId: this.#payloadId, made });
    return abortable(run.signal, async () => {
      const { key, tag } = await call((native) => native.derivedKey(this.#key, runtime, name));
      const wanted = { name, entry: { derived: Buffer.from(tag).toString('hex') }, key, cache: openCache(cache), run };
      const kept = remake ? undefined : await find(wanted);
      if (kept) return { model: kept, metadata: metadata(false) };
      throwIfAborted(run.signal);
      const model = await makeInMemory(name, make, run);
      try {
        await keep(model, wanted);
      } catch (error) {
        model.dispose();
        throw error;
      }
      return { model, metadata: metadata(true) };
    });
  }
}

async function find({ entry, key, cache, run }: Wanted): Promise<NativeModel | undefined> {
  const file = await cache?.find(entry);
  if (file === undefined) return undefined;
  const trust = { ...REF, publishers: [] };
  try {
    const opening = { identities: [key], hardware: false, machineFiles: [], trust, maxDerivations: 0 };
    return (await openContainer(file, opening, { ...run, as: 'path' })).model;
  } catch (error) {
    if (!isModelGuardError(error) || NOT_OF_THE_FILE.has(error.code)) throw error;
    // Without a warning where another process evicted it.
    if (error.code !== 'NOT_FOUND') warnUnused(`${file} does not open (${error.code}); the artifact is made again.`);
    return undefined;
  }
}

/** A fault of the cache is its warning: the artifact is made again next time. */
async function keep(model: NativeModel, { name, entry, key, cache, run }: Wanted): Promise<void> {
  if (!cache) return;
  const inputs = [{ path: name, model: { handle: model, index: 0 } }];
  await sealingFor({ ref: REF, format: 'unknown', inputs, recipients: [{ key }] }, async (sealer) => {
    // An entry of the same size would stay in its place.
    await cache.drop(entry);
    const writer = await cache.begin({ ...entry, size: sealer.headerLength + sealer.payloadLength });
    if (!writer) return;
    try {
      await putContainer(sealer, run, (offset, bytes) => writer.write(offset, bytes));
      await writer.commit();
    } finally {
      await writer.abandon();
    }
  });
}

/** Has `make` write to a path that leads to a file in memory. */
async function makeInMemory(name: string, make: ArtifactMaker, { signal }: RunOptions): Promise<NativeModel> {
  const file = call((native) => native.memoryFile());
  try {
    const targets = new Map([[name, `/proc/${ownProcess()}/fd/${file.descriptor}`]]);
    const links = new LinkFolder(targets, { inMemory: true });
    try {
      await untilAborted(signal, Promise.resolve(make(join(links.path, name))));
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
