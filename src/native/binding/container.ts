/** Types and functions that seal, open, re-wrap and cut containers. */
import type { NativeMachineTerms } from './hardware.js';
import type { KeyHandle } from './keys.js';
import type { NativeModel, NativeReader } from './model.js';
import type { NativeArtifact, NativeSource } from './source.js';
import type { NativeControl, NativeWork } from './work.js';

export interface NativeInput {
  /** Path in the manifest. */
  readonly path: string;
  readonly onDisk?: string | undefined;
  /** Copied before the call returns. */
  readonly bytes?: Uint8Array | undefined;
  /** The plaintext of a legacy artifact, decrypted as it is read. */
  readonly legacy?: { readonly artifact: NativeArtifact; readonly key: KeyHandle } | undefined;
  /** A file of a loaded model, read in place; the model stays alive meanwhile. */
  readonly model?: { readonly handle: NativeModel; readonly index: number } | undefined;
}

/** A key that both sides hold, or the public part of a recipient. */
export type NativeRecipient =
  | { readonly key: KeyHandle }
  /** `kind`: the type of the slot in docs/format.md, section 6. */
  | { readonly kind: string; readonly publicPart: Uint8Array };

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
  encryptToFile(path: string, outBase: number, fileOffset: number, work: NativeWork, mode?: number): Promise<void>;
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

export interface NativeTrust {
  readonly name?: string | undefined;
  readonly version?: string | undefined;
  /** Ed25519 public keys. Empty: the origin is not checked. */
  readonly publishers: readonly Uint8Array[];
  /** Ed25519 public keys. Absent: no lease is trusted. */
  readonly leaseKeys?: readonly Uint8Array[] | undefined;
  /** The latest time that the caller knows of, seconds since 1970. Policies go by this or by the system's clock, whichever is later. */
  readonly seen?: number | undefined;
  /** The server gave this lease for this opening. Counts only within 300 s of its not-before; else offline-until bounds the opening. */
  readonly renewed?: boolean | undefined;
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
    /** Of a hardware slot. */
    readonly machine?: NativeMachineTerms;
  }[];
  readonly signatures: readonly { readonly role: 'publisher' | 'lease'; readonly keyId: string }[];
}

/** The lease of a re-wrapped small part. Ids: 32 hex digits; times: seconds since 1970. */
export interface NativeLease {
  readonly policy: {
    readonly notBefore: number;
    readonly notAfter: number;
    readonly offlineUntil: number;
    readonly leaseId: string;
    readonly deviceId: string;
  };
  readonly signer: KeyHandle;
}

export interface NativeOpenRequest {
  /** The header, salt and commitment, and any payload bytes that follow. Copied. */
  readonly small: Uint8Array;
  readonly identities: readonly KeyHandle[];
  /** This machine is an identity too. */
  readonly hardware?: boolean | undefined;
  /** Public keys of machine files that this machine exported: of hardware slots only theirs are tried. */
  readonly machines?: readonly Uint8Array[] | undefined;
  readonly trust: NativeTrust;
  /** DERIVATIONS_EXCEEDED beyond it. Default: what the identities can need. */
  readonly maxDerivations?: number | undefined;
  /** Cancels between two steps of key derivation. */
  readonly control?: NativeControl | undefined;
}

export interface NativeOpened {
  readonly info: NativeHeaderInfo;
  /** `big` begins where `small` ends. `as`: 'path' puts each file into a memfd, absent means 'bytes'. */
  load(big: NativeSource, work: NativeWork, as?: 'bytes' | 'path'): Promise<NativeModel>;
  /**
   * For what is too large to hold: reads pieces. With publishers to trust, the digest is checked first: by `big.tree` where that is the signed
   * one, else by reading the whole payload. `big` as in load, a file or a script; a script serves this call alone.
   */
  reader(big: NativeSource, work: NativeWork): Promise<NativeReader>;
  /** Stands for the data key towards `derivedKey` alone (docs/format.md, section 14). */
  derivingKey(): KeyHandle;
}

/** A file in memory for a program to write to, by `/proc/PID/fd/N`. Linux. */
export interface NativeMemoryFile {
  readonly descriptor: number;
  /** A model of this one file, under the name `name`. Nothing can write to it any more. */
  seal(name: string): NativeModel;
  /** Wipes it, unless it was sealed. Idempotent. */
  close(): void;
}

export interface ContainerBinding {
  /** NAME_INVALID for a path that no manifest may hold. */
  checkPath(path: string): void;

  seal(request: NativeSealRequest): Promise<NativeSealer>;
  open(request: NativeOpenRequest): Promise<NativeOpened>;
  rewrap(
    request: NativeOpenRequest & { readonly recipients: readonly NativeRecipient[]; readonly lease?: NativeLease | undefined },
  ): Promise<Uint8Array>;

  /** INVALID_ARGUMENT where the system has no such files, OUT_OF_MEMORY. */
  memoryFile(): NativeMemoryFile;
  /** The master key of an artifact that `runtime` derived on this machine, and a public name for it, 32 bytes. Texts of at most 4,096 bytes. */
  derivedKey(deriving: KeyHandle, runtime: string, name: string): Promise<{ readonly key: KeyHandle; readonly tag: Uint8Array }>;

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
