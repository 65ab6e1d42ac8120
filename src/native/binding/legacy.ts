/** Types and functions of the legacy profile (docs/legacy.md). */
import type { KeyHandle } from './keys.js';
import type { NativeModel } from './model.js';
import type { NativeArtifact } from './source.js';
import type { NativeWork } from './work.js';

/** A secret text of the legacy profile, 1 to 4,096 bytes; exactly one member. Of a `file` one trailing newline is dropped. */
export type NativeSecretText =
  | { readonly text: string }
  | { readonly bytes: Uint8Array }
  | { readonly file: string }
  | { readonly env: string };

/** The plaintext of a legacy artifact, readable anywhere. */
export interface NativeLegacyReader {
  readonly size: number;
  /** A copy of plaintext bytes in ordinary memory, at most 1 GiB. SOURCE_CHANGED if a file is not what it was at opening. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** SHA-256 of the plaintext, which stays in native memory. */
  sha256(work: NativeWork): Promise<Uint8Array>;
  /** Lets go of the key and the artifact, at once or when the last read is over. Further reads are DISPOSED. */
  close(): void;
}

export interface LegacyBinding {
  /** A key string of the legacy profile. */
  legacyKey(text: NativeSecretText): Promise<{ key: KeyHandle; tooOpen: boolean }>;
  /**
   * A derivation of docs/legacy.md. `saltsFile` absent: the compiled-in salts. The members that `kind` needs, and no others:
   * hardware: `fingerprint`, absent: this machine's; download: `email`, `password`, `hardwareHash`.
   */
  legacyDerive(request: {
    readonly kind: 'resource' | 'hardware' | 'download';
    readonly encoding: 'base64' | 'hex';
    readonly saltsFile?: string | undefined;
    readonly fingerprint?: NativeSecretText | undefined;
    readonly email?: NativeSecretText | undefined;
    readonly password?: NativeSecretText | undefined;
    readonly hardwareHash?: KeyHandle | undefined;
  }): Promise<{ key: KeyHandle; tooOpen: readonly string[] }>;
  /** An artifact in memory; `bytes` are copied before the call returns. */
  legacyEncrypt(bytes: Uint8Array, key: KeyHandle): Promise<Uint8Array>;
  /** A new file (0600, refuses to overwrite, removed on failure; not synced). SOURCE_CHANGED */
  legacyEncryptToFile(source: string, target: string, key: KeyHandle, work: NativeWork): Promise<void>;
  /** Into guarded memory: a model of one file named `path`. SOURCE_CHANGED if a file changed meanwhile. */
  legacyLoad(artifact: NativeArtifact, key: KeyHandle, path: string, work: NativeWork): Promise<NativeModel>;
  legacyOpen(artifact: NativeArtifact, key: KeyHandle): Promise<NativeLegacyReader>;
}
