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
/** `legacy`: a key string of the legacy profile. */
export type NativeKeyType = 'master' | 'device' | 'signing' | 'passphrase' | 'legacy';

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

/** Where payload or big-part bytes come from. Exactly one of `file`, `bytes`, `read`. */
export interface NativeSource {
  readonly file?: string | undefined;
  /** File offset at which the part begins; 0 if absent. */
  readonly fileOffset?: number | undefined;
  readonly bytes?: Uint8Array | undefined;
  /**
   * Resolves with exactly `length` bytes, in one array or in up to 4,096 that follow one another. Called several times at once, up to
   * 1 MiB + 1 KiB each. `load` asks once more for a batch that turns out damaged, for 16 in all; for others only in a manifest of
   * more than 1 MiB.
   */
  readonly read?: ((offset: number, length: number) => Promise<Uint8Array | readonly Uint8Array[]>) | undefined;
  /** With `read`: how many bytes there are. */
  readonly size?: number | undefined;
  /**
   * With `load` and publishers to trust: `.tree` bytes. Where their root is the signed one, every batch is checked before it is
   * decrypted; else they are ignored, and the whole payload is checked before anything is released.
   */
  readonly tree?: Uint8Array | undefined;
  /** With `load`: both parts were cut from one container just now, so damage is never blamed on their pairing. */
  readonly sameContainer?: boolean | undefined;
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

export interface NativeOpened {
  readonly info: NativeHeaderInfo;
  /** `big` begins where `small` ends. */
  load(big: NativeSource, work: NativeWork): Promise<NativeModel>;
  /** For what is too large to hold: reads pieces. With publishers to trust, the whole digest is checked first. `big` as in load, a file. */
  reader(big: NativeSource, work: NativeWork): Promise<NativeReader>;
}
/** The plaintext of a container on disk, piece by piece. */
export interface NativeReader {
  readonly files: readonly { readonly path: string; readonly size: number }[];
  /** A copy in ordinary memory, at most 64 MiB; authentic. SOURCE_CHANGED if the file is not what it was at opening. */
  read(index: number, offset: number, length: number): Promise<Uint8Array>;
  /** Lets go of the keys and the file, at once or when the last read is over. Further reads are DISPOSED. */
  close(): void;
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
/** The purpose of a signature (docs/server-protocol.md, section 2). */
export type NativePurpose = 'enrolment' | 'lease-request' | 'statement' | 'checkpoint';
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

export interface NativeModel {
  readonly files: readonly { readonly path: string; readonly size: number }[];
  /** The file's bytes, no copy; the same array every time. LIMIT_EXCEEDED above 4 GiB, DISPOSED after dispose(). */
  bytes(index: number): Uint8Array;
  /** A copy in guarded memory that is wiped with the model. */
  read(index: number, offset: number, length: number): Promise<Uint8Array>;
  protection(): { locked: boolean; dontdump: boolean; hugePages: boolean; memfd: boolean };
  /** A reader comes, and must leave: dispose() wipes when none is there. DISPOSED */
  enter(): void;
  leave(): void;
  /** Wipes what the arrays given out show, returns the pages. Idempotent, never throws. */
  dispose(): void;
  /** Resolves when no read is in flight any more. */
  settled(): Promise<void>;
}

export type NativeFactorName = 'cpu' | 'gpu' | 'memory' | 'drive' | 'uuid' | 'tpm';
export interface NativeFingerprint {
  /** In this order: cpu, gpu, memory, drive, uuid, tpm. */
  readonly factors: readonly {
    readonly name: NativeFactorName;
    readonly quality: 'strong' | 'weak' | 'virtual' | 'absent';
    /** Where it is read, or would be. */
    readonly source: string;
    readonly needsRoot: boolean;
    readonly why: string;
    /** To the byte; only where asked for and present. */
    readonly value?: string;
    /** For people; only beside a value that differs. */
    readonly label?: string;
  }[];
  readonly container: boolean;
  /** The hypervisor; absent on bare metal. */
  readonly virtualMachine?: string;
  /** Shown, never counted. Only where values were asked for. */
  readonly machineId?: string;
}
/** An owner's policy for a machine; absent means default (native/core/hardware/binding.h). An empty `require` requires none. */
export interface NativeMachinePolicy {
  readonly factors?: readonly NativeFactorName[] | undefined;
  readonly require?: readonly NativeFactorName[] | undefined;
  readonly atLeast?: number | undefined;
  readonly weights?: Readonly<Partial<Record<NativeFactorName, number>>> | undefined;
  readonly tpm: 'never' | 'when-usable' | 'required';
  /** Bit i: PCR i. */
  readonly pcrs?: number | undefined;
}
/** The public terms of a machine-bound slot, machine file or sealed key. */
export interface NativeMachineTerms {
  readonly factors: readonly { readonly name: NativeFactorName; readonly weight: number; readonly required: boolean }[];
  readonly atLeast: number;
  readonly tpm: boolean;
  /** 16 hex digits. */
  readonly saltsId: string;
  readonly salts: 'default' | 'this build' | 'other';
}
export interface NativeBound {
  readonly terms: NativeMachineTerms;
  /** Why a TPM that is there was not used, with `when-usable`. */
  readonly tpmUnused?: string;
  /** Nothing had been measured into the TPM's PCRs: its part does not depend on how the machine was started. */
  readonly tpmUnmeasured?: boolean;
}

/** The bytes of a legacy artifact: one file, or small and big part. Exactly one of `bytes`, `file`, `parts`. */
export interface NativeArtifact {
  readonly bytes?: Uint8Array | undefined;
  readonly file?: string | undefined;
  readonly parts?: { readonly small: string; readonly big: string } | undefined;
}
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
  /** Lets go of the key and the artifact, at once or when the last read is over. Further reads are DISPOSED. */
  close(): void;
}

export interface NativeBinding {
  /** The native table of codes, without OK. */
  readonly codes: readonly string[];
  control(): NativeControl;

  generateKey(type: 'master' | 'device' | 'signing'): KeyHandle;
  /** Waits for the writer of a pipe until `control` is cancelled. */
  readKeyFile(path: string, control?: NativeControl): Promise<{ key: KeyHandle; tooOpen: boolean }>;
  readPassphraseFile(path: string, control?: NativeControl): Promise<{ key: KeyHandle; tooOpen: boolean }>;
  passphraseFromEnvironment(name: string): KeyHandle;
  passphraseFromBytes(bytes: Uint8Array): KeyHandle;
  /** 0600, refuses to overwrite, whole or not at all. */
  writeKeyFile(key: KeyHandle, path: string): Promise<void>;
  keyType(key: KeyHandle): NativeKeyType;
  /** The public parts of a key: both of a device key, ed25519 of a signing key, none of other keys. */
  publicKeys(key: KeyHandle): { readonly x25519?: Uint8Array; readonly ed25519?: Uint8Array };
  /** KEY_INVALID for what is not canonical or of small order (docs/format.md, section 11). */
  checkPublicKey(curve: 'x25519' | 'ed25519', publicKey: Uint8Array): void;

  /** The factors of this machine. With `tpm`, the TPM is asked too, which can take seconds. */
  fingerprint(request: { readonly showValues: boolean; readonly tpm: boolean }): Promise<NativeFingerprint>;
  /** Binds a new secret to this machine. `file` is the text of a machine file (docs/format.md, section 12): public. */
  exportMachine(policy: NativeMachinePolicy): Promise<NativeBound & { readonly file: Uint8Array }>;
  /** Checks a machine file and that no weaker set opens than demanded. `binding` is the public part of a `hardware` recipient. */
  parseMachineFile(
    file: Uint8Array,
    demand: { readonly require: readonly NativeFactorName[]; readonly atLeast: number },
  ): { readonly binding: Uint8Array; readonly publicKey: Uint8Array; readonly terms: NativeMachineTerms };
  /** A new device key, sealed to this machine in a new file (0600). */
  generateSealedKey(path: string, policy: NativeMachinePolicy): Promise<NativeBound & { readonly key: KeyHandle }>;
  /** Of this build. `id`: 16 hex digits. */
  salts(): { readonly id: string; readonly default: boolean };
  /** A new file of random salts (0600). */
  writeSaltsFile(path: string): Promise<void>;

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

  /**
   * Makes a file (0600) and locks it, until released or until this process ends, however that happens; who holds it may remove it.
   * Undefined: another process holds it.
   */
  lockFile(path: string): Promise<{ release(): void } | undefined>;
  /** Gives a file another name in its folder, at once. ALREADY_EXISTS where that name is taken; a failure changes nothing. */
  renameNew(from: string, to: string): Promise<void>;

  /** NAME_INVALID for a path that no manifest may hold. */
  checkPath(path: string): void;

  seal(request: NativeSealRequest): Promise<NativeSealer>;
  open(request: NativeOpenRequest): Promise<NativeOpened>;
  rewrap(
    request: NativeOpenRequest & { readonly recipients: readonly NativeRecipient[]; readonly lease?: NativeLease | undefined },
  ): Promise<Uint8Array>;

  /** Ed25519 over the purpose and `message`: `lease-request` by a device key, the others by a signing key. */
  sign(purpose: Exclude<NativePurpose, 'enrolment'>, key: KeyHandle, message: Uint8Array): Uint8Array;
  verifySignature(purpose: NativePurpose, publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** A random nonce, and the same sealed to a device: `enc ‖ ct`. Server id: 16 bytes, challenge: 32. */
  sealNonce(
    x25519: Uint8Array,
    serverId: Uint8Array,
    challenge: Uint8Array,
  ): { readonly nonce: Uint8Array; readonly sealed: Uint8Array };
  /** Opens the nonce and signs `message ‖ nonce` for `enrolment`. INTEGRITY_FAILED if it was sealed to another key. */
  proveEnrolment(
    key: KeyHandle,
    serverId: Uint8Array,
    challenge: Uint8Array,
    sealed: Uint8Array,
    message: Uint8Array,
  ): Uint8Array;
  /** 32 bytes of a device key that was opened from a sealed file; undefined of others. */
  machineIdentity(key: KeyHandle, serverId: Uint8Array): Uint8Array | undefined;
  /** Seals the state that a device keeps of a server (docs/server-protocol.md, section 4). */
  sealState(key: KeyHandle, serverId: Uint8Array, state: Uint8Array): Uint8Array;
  /** INTEGRITY_FAILED for what this device did not seal for this server. */
  openState(key: KeyHandle, serverId: Uint8Array, sealed: Uint8Array): Uint8Array;
  /** A master key or key string, to the server that will hand it out. */
  sealFragment(fragment: KeyHandle, x25519: Uint8Array, serverId: Uint8Array, name: string): Uint8Array;
  /** From the server's key to a device's; what is between is never in JavaScript. INTEGRITY_FAILED */
  resealFragment(request: {
    readonly key: KeyHandle;
    readonly sealed: Uint8Array;
    readonly x25519: Uint8Array;
    readonly serverId: Uint8Array;
    readonly name: string;
    /** Absent: to another key of the server. */
    readonly challenge?: Uint8Array | undefined;
  }): Uint8Array;
  openFragment(key: KeyHandle, sealed: Uint8Array, serverId: Uint8Array, name: string, challenge: Uint8Array): KeyHandle;

  /** Personal data (docs/server-protocol.md, sections 6 and 7); `fieldKey` is a master key. A new K_s, wrapped; `subject`: 16 bytes. */
  newSubjectKey(fieldKey: KeyHandle, subject: Uint8Array): Uint8Array;
  sealBox(fieldKey: KeyHandle, wrapped: Uint8Array, subject: Uint8Array, aad: Uint8Array, plain: Uint8Array): Uint8Array;
  /** INTEGRITY_FAILED */
  openBox(fieldKey: KeyHandle, wrapped: Uint8Array, subject: Uint8Array, aad: Uint8Array, box: Uint8Array): Uint8Array;
  /** 32 bytes. */
  fieldMac(fieldKey: KeyHandle, use: 'index' | 'url', message: Uint8Array): Uint8Array;

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
