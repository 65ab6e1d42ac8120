/** The shapes of `@org/model-guard/legacy`. `options.ts` beside this file checks the same shapes at run time. */
import type { AbortSignalLike } from '../abort.js';
import type { GuardedModel } from '../model.js';
import type { RunOptions } from '../native/work.js';
import type { OverwriteOptions, PartFiles } from '../types.js';
import type { LegacyKey } from './key.js';

/** Where a secret text comes from: exactly one of the four. All but the last are read natively. */
export interface LegacyText {
  /** A file; one trailing newline is dropped. */
  readonly file?: string | undefined;
  /** The name of an environment variable. */
  readonly env?: string | undefined;
  /** The bytes of the text; copied, so wipe yours afterwards. */
  readonly bytes?: Uint8Array | undefined;
  /** Only for what is a JavaScript string already, such as an answer from a server: a string cannot be wiped. */
  readonly text?: string | undefined;
}

/** What a derivation depends on besides its inputs (docs/legacy.md). */
export interface DerivationOptions {
  /** Path of a salts file (docs/format.md section 13). Default: the salts of this build. */
  readonly salts?: string | undefined;
  /** How the digest is written as a key string: base64 (64 characters) or lower-case hex (96). Default: `base64`. */
  readonly encoding?: 'base64' | 'hex' | undefined;
}

/** Options of `LegacyKey.hardwareHash`. */
export interface HardwareHashOptions extends DerivationOptions {
  /** The fingerprint text that is hashed. Default: this machine's (docs/legacy.md). */
  readonly fingerprint?: LegacyText | undefined;
}

/** Options of `LegacyKey.forDownload`. */
export interface DownloadKeyOptions extends DerivationOptions {
  readonly email: LegacyText;
  readonly password: LegacyText;
  /** From `LegacyKey.hardwareHash`, or, where the hash is known as text, from `LegacyKey.fromKeyString`. */
  readonly hardwareHash: LegacyKey;
}

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

/** What is known of a decrypted artifact: nothing. */
export interface LegacyMetadata {
  /** The scheme authenticates nothing: damage, another's artifact or a wrong key may have gone unnoticed. */
  readonly origin: 'unauthenticated';
}

/** A decrypted artifact in guarded memory; its only file is called `model`. */
export type LegacyModel = GuardedModel<LegacyMetadata>;
