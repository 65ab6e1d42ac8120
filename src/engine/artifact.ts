/** The options of `derived`, and what a model needs to be the source of artifacts. */
import { z } from 'zod';
import { text } from '../base/schemas.js';
import { type CacheOptions, cacheChoice } from '../cache/options.js';
import type { NativeModel } from '../native/binding.js';
import { call } from '../native/index.js';
import { type RunOptions, run } from '../native/work.js';

const MAX_NAME = 255;
const MAX_RUNTIME = 1024;

/** An artifact that a runtime derives from a model, such as an engine or an optimised graph. */
export interface Artifact {
  /** A file name, 1 to 255 characters, without `/`. Some runtimes go by its extension. */
  readonly name: string;
  /**
   * All that the artifact depends on beside the model and this machine: the runtime, its version, the driver's, the settings. 1 to 1,024
   * characters. Another text is another artifact.
   */
  readonly runtime: string;
}

/** Writes the artifact to `path`, and resolves when all of it is there. What it returns is ignored. */
export type ArtifactMaker = (path: string) => unknown;

/** Options of `derived`. */
export interface ArtifactOptions extends RunOptions {
  /** Where the sealed artifact is kept; `false`: nowhere, it is made each time. Default: that of the `load` of the model. */
  readonly cache?: CacheOptions | false | undefined;
  /** Makes it again and replaces what is kept, such as an engine that the runtime refuses. Default: false. */
  readonly remake?: boolean | undefined;
}

/** Facts about a derived artifact. */
export interface ArtifactMetadata extends Artifact {
  /** The payload id of the model that it was derived from, 32 hex digits. */
  readonly payloadId: string;
  /** Whether it was made by this call. Otherwise the cache had it. */
  readonly made: boolean;
}

/** Makes artifacts of one model, or finds them. */
export interface ArtifactSource {
  derive(
    artifact: Artifact,
    make: ArtifactMaker,
    options: ArtifactOptions,
  ): Promise<{ readonly model: NativeModel; readonly metadata: ArtifactMetadata }>;
}

const isFileName = (name: string): boolean => {
  if (name.includes('/')) return false;
  call((native) => native.checkPath(name));
  return true;
};

export const artifactSchema = z.strictObject({
  name: text(MAX_NAME).refine(isFileName, 'is not the name of a file: it holds a slash'),
  runtime: text(MAX_RUNTIME).min(1),
});

export const artifactOptions = z.strictObject({
  ...run,
  cache: cacheChoice,
  remake: z.boolean().optional(),
});
