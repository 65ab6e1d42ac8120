/**
 * Artifacts that a runtime derives from a model: each is made in a file in memory, and kept sealed in the cache of ciphertext, as a container
 * for a key that only the opened model gives, on this machine (docs/format.md, section 14).
 */
import { createHash } from 'node:crypto';
import { join as joinPath } from 'node:path';
import { abortable, untilAborted } from '../base/abort.js';
import { join } from '../base/bytes.js';
import { type CiphertextCache, openCache } from '../cache/cache.js';
import type { DerivedName } from '../cache/entry.js';
import { warnUnused } from '../cache/warn.js';
import { isModelGuardError, ModelGuardError, type ModelGuardErrorCode } from '../errors.js';
import { LinkFolder, ownProcess } from '../files/link-folder.js';
import type { KeyHandle, NativeModel, NativeOpened } from '../native/binding.js';
import { call } from '../native/index.js';
import { type RunOptions, work } from '../native/work.js';
import type { ModelRef } from '../stores/store.js';
import type { Artifact, ArtifactMaker, ArtifactOptions, ArtifactSource } from './artifact.js';
import { openContainer } from './open.js';
import { PREFIX, sealed, sealedBytes, sealingFor } from './seal.js';

/** Codes of an opening that say nothing about the kept file. */
const NOT_OF_THE_FILE: ReadonlySet<ModelGuardErrorCode> = new Set(['ABORT_ERR', 'OUT_OF_MEMORY']);
/** Codes that are no fault of it either: another process evicted it, or parts of this machine were replaced. */
const EXPECTED: ReadonlySet<ModelGuardErrorCode> = new Set(['NOT_FOUND', 'NO_MATCHING_IDENTITY']);

/** What one call of `derive` works with. */
interface Making {
  readonly artifact: Artifact;
  readonly key: KeyHandle;
  readonly cache: CiphertextCache | undefined;
  readonly run: RunOptions;
}

export class Deriver implements ArtifactSource {
  /** Not the data key: an artifact is all that it can open. */
  readonly #key: KeyHandle;
  readonly #ref: ModelRef;
  readonly #payloadId: string;

  constructor(opened: NativeOpened) {
    const { name, version, payloadId } = opened.info;
    this.#key = call(() => opened.derivingKey());
    this.#ref = { name, version };
    this.#payloadId = payloadId;
  }

  derive(artifact: Artifact, make: ArtifactMaker, { cache, ...run }: ArtifactOptions) {
    return abortable(run.signal, async () => {
      const key = await call((native) => native.derivedKey(this.#key, artifact.runtime, artifact.name));
      const making = { artifact, key, cache: openCache(cache), run };
      const kept = await this.#find(making);
      if (kept) return { model: kept, made: false };
      const model = await makeInMemory(artifact.name, make, run);
      try {
        await this.#keep(model, making);
      } catch (error) {
        model.dispose();
        throw error;
      }
      return { model, made: true };
    });
  }

  /** Public facts, so that a file tells nothing of the machine. */
  #nameOf({ runtime, name }: Artifact): DerivedName {
    const facts = JSON.stringify([this.#payloadId, runtime, name]);
    return { derived: createHash('sha256').update(facts).digest('hex') };
  }

  async #find({ artifact, key, cache, run }: Making): Promise<NativeModel | undefined> {
    const name = this.#nameOf(artifact);
    const file = await cache?.find(name);
    if (file === undefined) return undefined;
    const trust = { ...this.#ref, publishers: [] };
    try {
      const opening = { identities: [key], hardware: false, machineFiles: [], trust, maxDerivations: 0 };
      return (await openContainer(file, opening, { ...run, as: 'path' })).model;
    } catch (error) {
      if (!isModelGuardError(error) || NOT_OF_THE_FILE.has(error.code)) throw error;
      if (!EXPECTED.has(error.code)) warnUnused(`${file} is damaged (${error.code}); the artifact is made again.`);
      await cache?.drop(name);
      return undefined;
    }
  }

  /** A fault of the cache is its warning: the artifact is made again next time. */
  async #keep(model: NativeModel, { artifact, key, cache, run }: Making): Promise<void> {
    if (!cache) return;
    const inputs = [{ path: artifact.name, model: { handle: model, index: 0 } }];
    await sealingFor({ ref: this.#ref, format: 'unknown', inputs, recipients: [{ key }] }, async (sealer) => {
      const { headerLength, payloadLength, plaintextSize } = sealer;
      const writer = await cache.begin({ ...this.#nameOf(artifact), size: headerLength + payloadLength });
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
}

/** What `make` writes to a path that leads to a file in memory. */
async function makeInMemory(name: string, make: ArtifactMaker, { signal }: RunOptions): Promise<NativeModel> {
  const file = call((native) => native.memoryFile());
  try {
    const links = new LinkFolder(new Map([[name, `/proc/${ownProcess()}/fd/${file.descriptor}`]]));
    try {
      await untilAborted(signal, Promise.resolve(make(joinPath(links.path, name))));
    } finally {
      links.remove();
    }
    return withContent(call(() => file.seal(name)));
  } finally {
    file.close();
  }
}

function withContent(model: NativeModel): NativeModel {
  if (model.files[0]?.size) return model;
  model.dispose();
  throw new ModelGuardError('SOURCE_EMPTY', `make wrote nothing to the path of the artifact`, {
    advice: 'Write the artifact to the path that make is given, and wait for it: a file beside that path is not it.',
  });
}
