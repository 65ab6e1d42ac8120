/**
 * The addon as TypeScript sees it: opaque handles, plain data, promises. Nothing outside `src/native` calls it.
 *
 * Every failure, thrown or rejected, is a {@link NativeFailure} value; `call()` in `./index.ts` turns it into a
 * ModelGuardError whose stack starts at the caller.
 */

/** A failure as it crosses the boundary. `code` is one of {@link NativeBinding.codes}. */
export interface NativeFailure {
  readonly code: string;
  /** One sentence about this occurrence; never secret. */
  readonly what: string;
  /** errno, where the system was the cause. */
  readonly errno?: number;
}

declare const brand: unique symbol;
type Handle<Name extends string> = { readonly [brand]: Name };

/** A key in locked native memory. Its bytes cannot be read from JavaScript. */
export type KeyHandle = Handle<'Key'>;
export type NativeKeyType = 'master' | 'device' | 'signing' | 'passphrase';

/** Long work: cancel it, or ask how far it is. One call at a time uses it. */
export interface NativeControl {
  /** Takes effect after at most one batch (1 MiB) per thread. */
  cancel(): void;
  /** Plaintext bytes done so far. */
  done(): number;
}
export interface NativeWork {
  readonly control?: NativeControl | undefined;
  /** 0 or absent: as many as the process may use. */
  readonly threads?: number | undefined;
}

export interface NativeInput {
  /** Path in the manifest. */
  readonly path: string;
  readonly onDisk?: string | undefined;
  /** Copied before the call returns. */
  readonly bytes?: Uint8Array | undefined;
  /** A file of a loaded model, read in place; the model stays alive meanwhile. */
  readonly model?: { readonly handle: NativeModel; readonly index: number } | undefined;
}
/** Exactly one of the two. */
export interface NativeRecipient {
  readonly x25519?: Uint8Array | undefined;
  readonly key?: KeyHandle | undefined;
}
export interface NativeSealRequest {
  readonly name: string;
  readonly version: string;
  readonly format: string;
  /** `YYYY-MM-DDThh:mm:ssZ` */
  readonly created: string;
  readonly inputs: readonly NativeInput[];
  readonly recipients: readonly NativeRecipient[];
  readonly signer?: KeyHandle | undefined;
}
export interface NativeSealer {
  readonly payloadId: string;
  readonly plaintextSize: number;
  readonly payloadLength: number;
  readonly headerLength: number;
  /** Sealed bytes to a new file: payload byte `outBase` (at least 56) lands at `fileOffset`. Refuses to overwrite. Not synced. */
  encryptToFile(path: string, outBase: number, fileOffset: number, work: NativeWork): Promise<void>;
  /** The next sealed bytes from payload byte `outBase` on, in order, about `maxBytes` (at least 1 MiB) each; empty at the end. */
  next(maxBytes: number, outBase: number, work: NativeWork): Promise<Uint8Array>;
  /** After the last byte: the header. Rejects with SOURCE_CHANGED if an input changed meanwhile. */
  finish(): Promise<Uint8Array>;
  /** Lets go of keys and inputs, at once or when the call in flight is over. */
  close(): void;
  /** Payload bytes [0, outBase). Complete after the last byte. */
  head(): Uint8Array;
  /** The `.tree` bytes. Complete after the last byte. */
  tree(): Uint8Array;
}

/** Where payload or big-part bytes come from. Exactly one of `file`, `bytes`, `read`. */
export interface NativeSource {
  readonly file?: string | undefined;
  /** File offset at which the part begins; 0 if absent. */
  readonly fileOffset?: number | undefined;
  readonly bytes?: Uint8Array | undefined;
  /** Resolves with exactly `length` bytes. Called several times at once, up to 1 MiB + 56 bytes each. */
  readonly read?: ((offset: number, length: number) => Promise<Uint8Array>) | undefined;
  /** With `read`: how many bytes there are. */
  readonly size?: number | undefined;
  /** With `load`: both parts were cut from one container just now, so damage is never blamed on their pairing. */
  readonly sameContainer?: boolean | undefined;
}

export interface NativeTrust {
  readonly name?: string | undefined;
  readonly version?: string | undefined;
  /** Ed25519 public keys. Empty: the origin is not checked. */
  readonly publishers: readonly Uint8Array[];
  readonly leaseKeys: readonly Uint8Array[];
  /** Seconds since 1970. */
  readonly now: number;
}

export interface NativeHeaderInfo {
  readonly name: string;
  readonly version: string;
  readonly format: string;
  readonly created: string;
  readonly payloadId: string;
  readonly plaintextSize: number;
  readonly headerLength: number;
  readonly payloadLength: number;
  /** 64 hex digits. */
  readonly digest: string;
  readonly slots: readonly {
    /** x25519, master, passphrase, hardware or unknown */
    readonly type: string;
    readonly number: number;
    readonly critical: boolean;
    /** 16 hex digits; zeros where there is no public key. */
    readonly keyId: string;
    readonly policy?: {
      readonly notBefore: number;
      readonly notAfter: number;
      readonly offlineUntil: number;
      readonly leaseId: string;
      readonly deviceId: string;
    };
  }[];
  readonly signatures: readonly { readonly role: 'publisher' | 'lease'; readonly keyId: string }[];
}

export interface NativeOpened {
  readonly info: NativeHeaderInfo;
  /** `big` begins where `small` ends. */
  load(big: NativeSource, work: NativeWork): Promise<NativeModel>;
}
export interface NativeOpenRequest {
  /** The header, salt and commitment, and any payload bytes that follow. Copied. */
  readonly small: Uint8Array;
  readonly identities: readonly KeyHandle[];
  readonly trust: NativeTrust;
}

export interface NativeModel {
  readonly files: readonly { readonly path: string; readonly size: number }[];
  /** The file's bytes, no copy; the same array every time. LIMIT_EXCEEDED above 4 GiB, DISPOSED after dispose(). */
  bytes(index: number): Uint8Array;
  /** A copy in guarded memory that is wiped with the model. */
  read(index: number, offset: number, length: number): Promise<Uint8Array>;
  protection(): { locked: boolean; dontdump: boolean; hugePages: boolean; memfd: boolean };
  /** Detaches every array given out, wipes, returns the pages. Idempotent, never throws. */
  dispose(): void;
  /** Resolves when no read is in flight any more. */
  settled(): Promise<void>;
}

export interface NativeBinding {
  /** The native table of codes, without OK. */
  readonly codes: readonly string[];
  control(): NativeControl;

  generateKey(type: 'master' | 'device' | 'signing'): KeyHandle;
  readKeyFile(path: string): Promise<{ key: KeyHandle; tooOpen: boolean }>;
  readPassphraseFile(path: string): Promise<{ key: KeyHandle; tooOpen: boolean }>;
  passphraseFromEnvironment(name: string): KeyHandle;
  passphraseFromBytes(bytes: Uint8Array): KeyHandle;
  /** 0600, refuses to overwrite, whole or not at all. */
  writeKeyFile(key: KeyHandle, path: string): Promise<void>;
  keyType(key: KeyHandle): NativeKeyType;
  /** What may be shown of a key: device both, signing ed25519, others nothing. */
  publicKeys(key: KeyHandle): { readonly x25519?: Uint8Array; readonly ed25519?: Uint8Array };
  /** 16 hex digits, as in slots and signatures. */
  keyId(publicKey: Uint8Array): string;

  /** NAME_INVALID for a path that no manifest may hold. */
  checkPath(path: string): void;

  seal(request: NativeSealRequest): Promise<NativeSealer>;
  open(request: NativeOpenRequest): Promise<NativeOpened>;
  rewrap(request: NativeOpenRequest & { readonly recipients: readonly NativeRecipient[] }): Promise<Uint8Array>;

  /** From the first 26 bytes of a container or small part. */
  headerLength(bytes: Uint8Array): number;
  inspect(bytes: Uint8Array): NativeHeaderInfo;
  /** Reference and signatures; throws what `open` would. */
  checkOrigin(bytes: Uint8Array, trust: NativeTrust): void;

  /** Container offset of the cut. */
  cut(headerLength: number, payloadLength: number, rule: { maxBytes: number; ratio: number }): number;
  /** Payload offset and size of the big part that belongs to `small`. */
  describeSmall(small: Uint8Array): { readonly bigOffset: number; readonly bigSize: number };
  /** PARTS_MISMATCH unless `big` belongs to `small`. Resolves with the `.tree` bytes. */
  checkParts(small: Uint8Array, big: NativeSource, work: NativeWork): Promise<Uint8Array>;
}
