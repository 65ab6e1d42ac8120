/** The shapes of the functions of `@org/model-guard/legacy`. `options.ts` beside this file checks them at run time. */
import type { AbortSignalLike } from '../base/abort.js';
import type { GuardedModel } from '../engine/model.js';
import type { OverwriteOptions, PartFiles } from '../engine/options.js';
import type { RunOptions } from '../native/work.js';
import type { LegacyKey } from './key.js';

/** The key that encrypts or opens. */
export interface LegacyKeyOptions {
  readonly key: LegacyKey;
}

/** Options of `encryptFile`. */
export interface LegacyEncryptFileOptions extends LegacyKeyOptions, OverwriteOptions, RunOptions {}

/** Options of `decrypt` and `decryptFile`. */
export interface LegacyDecryptOptions extends LegacyKeyOptions, RunOptions {}

/** Options of `decryptStream`. */
export interface LegacyStreamOptions extends LegacyKeyOptions {
  /** Cancels; the iteration then rejects with an AbortError whose `cause` is the signal's reason. */
  readonly signal?: AbortSignalLike | undefined;
}

/** Where the small part ends: after `min(3072, floor(ratio · size))` bytes. */
export interface LegacySplitRule {
  /** Default 0.3. */
  readonly ratio?: 0.2 | 0.3 | undefined;
}

/** Options of `joinFiles`. */
export interface LegacyCopyOptions extends OverwriteOptions {
  /** Cancels; the promise then rejects with an AbortError whose `cause` is the signal's reason. */
  readonly signal?: AbortSignalLike | undefined;
}

/** Options of `splitFile`. */
export interface LegacySplitFileOptions extends LegacySplitRule, LegacyCopyOptions {}

/** An artifact on disk: the path of one file, or of both parts. */
export type LegacyFiles = string | PartFiles;

/** Facts about a decrypted artifact; the scheme tells none but its origin. */
export interface LegacyMetadata {
  /** The scheme authenticates nothing: damage, another's artifact or a wrong key may have gone unnoticed. */
  readonly origin: 'unauthenticated';
}

/** A decrypted artifact in guarded memory; its only file is called `model`. */
export type LegacyModel = GuardedModel<LegacyMetadata>;
