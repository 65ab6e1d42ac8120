/** The shapes of the public face. `options.ts` checks the same shapes at run time; test/types.test.ts keeps them equal. */
import type { AbortSignalLike } from './abort.js';
import type { Hardware } from './keys/hardware.js';
import type { DevicePublicKey, VerifyingKey } from './keys/public.js';
import type { DeviceKey, MasterKey, Passphrase, SigningKey } from './keys/secret.js';
import type { LegacyKey } from './legacy/key.js';
import type { RunOptions } from './native/work.js';
import type { ModelRef, PartStore, Stores } from './stores/store.js';

/** Who a model is encrypted to: `mgx1:…` or `mgd1:…` text, a key, or a machine. */
export type Recipient = string | DevicePublicKey | MasterKey | DeviceKey | Passphrase | Hardware;
/** What opens a model: a key, or this machine. */
export type Identity = MasterKey | DeviceKey | Passphrase | Hardware;
/** Publishers' public keys, `mgs1:…` text or objects; a signature by one of them is enough. */
export type Verifier = string | VerifyingKey | readonly (string | VerifyingKey)[];
/** Which model: `'name@version'`, or apart. Stores without a signed latest want the version. */
export type Reference = string | { readonly name: string; readonly version?: string | undefined };

/** Where a passphrase comes from: exactly one of the three. A JavaScript string is not among them, since it cannot be wiped. */
export interface PassphraseSource {
  /** A file, read natively. */
  readonly file?: string | undefined;
  /** The name of an environment variable, read natively. */
  readonly env?: string | undefined;
  /** UTF-8 bytes; copied, so wipe yours afterwards. */
  readonly bytes?: Uint8Array | undefined;
}

/** How a key or passphrase is read. */
export interface ReadKeyOptions {
  /** Ends the wait for the writer of a pipe; the promise then rejects with an AbortError whose `cause` is the signal's reason. */
  readonly signal?: AbortSignalLike | undefined;
}

/** Where the small part ends: `max(end of header + 56, min(maxBytes, ratio · total))` (docs/format.md section 10). */
export interface SplitRule {
  /** Bytes, 0 to 16 MiB. Default 3072. */
  readonly maxBytes?: number | undefined;
  /** Part of the whole, 0 to 0.9. Default 0.3. */
  readonly ratio?: number | undefined;
}

/** Who may open it and who says where it comes from. */
export interface SealOptions extends RunOptions {
  /** 1 to 32, each once, at most one passphrase. Default: the store's. */
  readonly recipients?: readonly Recipient[] | undefined;
  /** Signs as publisher. Without it every loader must accept an unsigned model. */
  readonly signer?: SigningKey | undefined;
}

/** Where trust in a model's origin comes from: exactly one of the two, unless the store has a default. */
export interface OriginOptions {
  /** The publisher's public keys that are trusted. */
  readonly verifier?: Verifier | undefined;
  /** Accepts a model whatever its origin: anyone who could write to the storage may have made it. */
  readonly unsigned?: 'accept' | undefined;
  /** Keys of servers whose leases are trusted. A lease that no guard server gave just now opens until its offline-until. */
  readonly leaseKeys?: Verifier | undefined;
}

/** Options of `protect`. */
export interface ProtectOptions extends SealOptions, SourceOptions {
  /** `[a-z0-9][a-z0-9._-]{0,127}` */
  readonly name: string;
  /** The same grammar. */
  readonly version: string;
  /** Where the parts go. */
  readonly to: Stores;
  /** Replaces a published name@version. Default: ALREADY_EXISTS. */
  readonly overwrite?: boolean | undefined;
  readonly split?: SplitRule | undefined;
  /** What the model is, for people and tools. Default: from the file name's extension; `folder` for a folder. */
  readonly format?: string | undefined;
  /**
   * A folder where what is encrypted is staged (ciphertext, nothing else), so that after a crash the same call sends only what is
   * missing. Without it a crash means encrypting anew. Emptied when the version is published.
   */
  readonly resume?: string | undefined;
}

/** Options of calls that read a folder. */
export interface SourceOptions {
  /**
   * Takes what symbolic links in the folder lead to, files and folders, inside the folder or outside, as if it lay there: for a snapshot
   * of a Hugging Face cache, whose files are links. The warning MODEL_GUARD_LINKS_OUTSIDE names those that lead out of the folder. Use it
   * only for folders whose links you trust: one can lead to any file that you may read. Default: links are SOURCE_UNSUPPORTED.
   */
  readonly followLinks?: boolean | undefined;
}

/** What `protect` and `rekey` published. */
export interface ProtectedModel {
  /** `name@version` */
  readonly ref: string;
  /** 32 hex digits, new for every encryption. */
  readonly payloadId: string;
  /** The tree digest that the publisher signs (docs/format.md section 5), 64 hex digits. */
  readonly digest: string;
  readonly smallBytes: number;
  readonly bigBytes: number;
  /** `pending` until somebody releases it, in stores that have approvals. */
  readonly state: 'released' | 'pending';
}

/** An artifact of the legacy profile: bytes, the path of a file, or the paths of both parts. */
export type LegacySource = Uint8Array | string | PartFiles;

/** Options of `migrate`, wherever the container goes. */
export interface MigrateOptions extends SealOptions {
  /** What opens the artifact. `LegacyKey` of `@org/model-guard/legacy` makes it. */
  readonly key: LegacyKey;
  /** `[a-z0-9][a-z0-9._-]{0,127}` */
  readonly name: string;
  /** The same grammar. */
  readonly version: string;
  /** What the only file in the container is called; an artifact does not say. Default: `model`. */
  readonly fileName?: string | undefined;
  /** As in {@link ProtectOptions}; from the extension of `fileName`. */
  readonly format?: string | undefined;
  /** Replaces what is there. Default: ALREADY_EXISTS. */
  readonly overwrite?: boolean | undefined;
  /**
   * SHA-256 of the plaintext, 64 hex digits. The artifact is then decrypted once more beforehand and compared: about 1 in 256 wrong
   * keys is not noticed otherwise, and the container would vouch for garbage.
   */
  readonly plaintextSha256?: string | undefined;
}

/** Options of `migrate` that publish both parts in a store, as `protect` does. */
export interface MigrateToStoreOptions extends MigrateOptions {
  /** Where the parts go. */
  readonly to: Stores;
  readonly split?: SplitRule | undefined;
}

/** Options of `migrate` that write one container file, as `encryptFile` does. */
export interface MigrateToFileOptions extends MigrateOptions {
  /** Path of the container, conventionally `….mguard`. */
  readonly out: string;
  /** 1 to 32, each once, at most one passphrase. */
  readonly recipients: readonly Recipient[];
}

/** How far what was migrated can be trusted to be what was once encrypted. */
export interface MigratedSource {
  /** `checked`: its SHA-256 is the one that was given. `unauthenticated`: nobody can tell. */
  readonly source: 'checked' | 'unauthenticated';
}

/** Bounds the work that a container may cost before it opens. */
export interface DerivationOptions {
  /**
   * Key derivations from passphrases and machines that one opening may take, 0 to 1,024; then DERIVATIONS_EXCEEDED. One is a run of scrypt
   * with N = 2^15. A factor of a hardware slot takes one, a passphrase slot 4 (docs/format.md, section 6: 1 to 8). Default: as many as the
   * identities can need of a container that this release made, so that no such container is refused.
   */
  readonly maxDerivations?: number | undefined;
}

/** Options of `load`. */
export interface LoadOptions extends OriginOptions, DerivationOptions, RunOptions {
  /** Where the parts are. */
  readonly from: Stores;
  /** 1 to 32. Default: the store's. */
  readonly identities?: readonly Identity[] | undefined;
  /** Where big parts that came over a network are kept, as ciphertext; `false`: nowhere. */
  readonly cache?: CacheOptions | false | undefined;
}

/** The cache of big parts on this machine. */
export interface CacheOptions {
  /** Default: `model-guard` in XDG_CACHE_HOME (`~/.cache`). */
  readonly folder?: string | undefined;
  /** What is used least recently goes beyond it. Bytes. Default: 32 GiB. */
  readonly maxBytes?: number | undefined;
}

/** Options of `encrypt` and `encryptFile`. */
export interface EncryptOptions extends SealOptions {
  /** 1 to 32, each once, at most one passphrase. */
  readonly recipients: readonly Recipient[];
  /** Default: `model` for bytes, the normalised file name for files. */
  readonly name?: string | undefined;
  /** Default: `0`. */
  readonly version?: string | undefined;
  /** As in {@link ProtectOptions}. */
  readonly format?: string | undefined;
}

/** Options of functions that write a file. */
export interface OverwriteOptions {
  /** Replaces existing files. Default: ALREADY_EXISTS. */
  readonly overwrite?: boolean | undefined;
}

/** What `encryptFile` wrote. */
export interface SealedFile {
  /** `name@version` */
  readonly ref: string;
  /** 32 hex digits. */
  readonly payloadId: string;
  /** 64 hex digits. */
  readonly digest: string;
  /** Size of the container. */
  readonly bytes: number;
}

/** Options of `decrypt` and `decryptFile`. */
export interface DecryptOptions extends OriginOptions, DerivationOptions, RunOptions {
  /** 1 to 32. */
  readonly identities: readonly Identity[];
  /** Refuses with REFERENCE_MISMATCH what says otherwise; without a version only the name is compared. */
  readonly ref?: Reference | undefined;
}

/** The parts of a container in memory. */
export interface Parts {
  readonly small: Uint8Array;
  readonly big: Uint8Array;
}

/** The files of the parts of a container. */
export interface PartFiles {
  readonly small: string;
  readonly big: string;
}

/** A container or a small part: bytes, a path, or a reference and where it is stored. */
export type ContainerSource = Uint8Array | string | { readonly ref: Reference; readonly from: Stores };

/** Options of `verify`. */
export interface VerifyOptions extends RunOptions {
  /** The publisher's public keys that are trusted. */
  readonly verifier: Verifier;
}

/** What `verify` found to be true. */
export interface Verified {
  readonly info: ContainerInfo;
  /** Whether the payload was there and its digest was computed, or the signature alone was checked. */
  readonly payload: 'checked' | 'absent';
}

/** Options of `rewrap`. */
export interface RewrapOptions extends DerivationOptions {
  /** 1 to 32. */
  readonly identities: readonly Identity[];
  /** The new recipients; they replace the old ones. */
  readonly recipients: readonly Recipient[];
  /** Refuses a small part that none of these publishers signed. */
  readonly verifier?: Verifier | undefined;
  /** Cancels; the promise then rejects with an AbortError whose `cause` is the signal's reason. */
  readonly signal?: AbortSignalLike | undefined;
}

/** Options of `rekey`. */
export interface RekeyOptions extends OriginOptions, DerivationOptions, SealOptions {
  /** Where the model is and stays. */
  readonly store: Stores;
  /** 1 to 32. Default: the store's. */
  readonly identities?: readonly Identity[] | undefined;
  readonly split?: SplitRule | undefined;
}

/** One recipient, as the header shows it to anyone. */
export interface SlotInfo {
  readonly type: 'x25519' | 'master' | 'passphrase' | 'hardware' | 'unknown';
  /** The type's number in docs/format.md section 6. */
  readonly number: number;
  readonly critical: boolean;
  /** 16 hex digits of the public key's id; absent where there is no public key. */
  readonly keyId?: string | undefined;
  /** A lease's terms; times in seconds since 1970. */
  readonly policy?:
    | {
        readonly notBefore: number;
        readonly notAfter: number;
        readonly offlineUntil: number;
        readonly leaseId: string;
        readonly deviceId: string;
      }
    | undefined;
  /** Of a hardware slot: what a machine must show. */
  readonly machine?: MachineTerms | undefined;
}

/** What a header says to anyone, without a key and before anything is verified. */
export interface ContainerInfo extends ModelMetadata {
  /** Whether all bytes are there or only the small part. */
  readonly kind: 'container' | 'small';
  /** Size of the plaintext message of docs/format.md section 3: the files, their list and padding. */
  readonly plaintextSize: number;
  readonly headerBytes: number;
  readonly payloadBytes: number;
  /** Of a small part: its size, that of its big part, and where in the payload the big part begins. */
  readonly parts?: { readonly smallBytes: number; readonly bigBytes: number; readonly bigName: string } | undefined;
  readonly slots: readonly SlotInfo[];
  readonly signatures: readonly { readonly role: 'publisher' | 'lease' /** 16 hex digits. */; readonly keyId: string }[];
}

/** What a model is. */
export interface ModelMetadata {
  readonly name: string;
  readonly version: string;
  /** `onnx`, `gguf`, `folder`, … */
  readonly format: string;
  /** When it was sealed, `YYYY-MM-DDThh:mm:ssZ`. */
  readonly created: string;
  /** 32 hex digits. */
  readonly payloadId: string;
  /** 64 hex digits. */
  readonly digest: string;
}

/** What a machine can be told by (docs/format.md section 12). `tpm` is the name of a TPM's endorsement key. */
export type MachineFactor = 'cpu' | 'gpu' | 'memory' | 'drive' | 'uuid' | 'tpm';

/** What is asked of a machine that a model or a device key is bound to. */
export interface MachinePolicy {
  /** Which factors count. Default: cpu, gpu, memory and drive, as far as they can be read. */
  readonly factors?: readonly MachineFactor[] | undefined;
  /** Factors without which nothing opens; an empty list for none. Default: the drive, where its serial number is strong. */
  readonly require?: readonly MachineFactor[] | undefined;
  /**
   * How much weight must be there to open, 1 to the sum of the weights. Default: all, but for the lightest factor that is not required
   * where one is required and there are three or more.
   */
  readonly atLeast?: number | undefined;
  /** Weights of factors, 1 to 16. Default: 1 each. */
  readonly weights?: { readonly [Factor in MachineFactor]?: number | undefined } | undefined;
  /**
   * Whether a TPM 2.0 takes part; then a copy of the disk opens nowhere else. `when-usable` warns with MODEL_GUARD_TPM_UNUSED
   * where there is one that cannot be used. Default: `never` for machine files, `when-usable` for device keys.
   */
  readonly tpm?: 'never' | 'when-usable' | 'required' | undefined;
  /** PCRs of the TPM's SHA-256 bank that must not change, 0 to 23. Default: 7, the secure boot state. Needs a TPM policy. */
  readonly pcrs?: readonly number[] | undefined;
}

/** What a publisher demands of a machine file, whatever the policy it was exported with. */
export interface MachineDemand {
  /** Factors that every set that opens must hold. */
  readonly require?: readonly MachineFactor[] | undefined;
  /** How many factors every set that opens must have, 1 to 6; weights do not count. */
  readonly atLeast?: number | undefined;
  /** A TPM must take part. */
  readonly tpm?: true | undefined;
  /** It must have been exported by a build with the salts of this one. */
  readonly salts?: 'this build' | undefined;
}

/** What a machine must show to open a slot or a sealed key. Public: it stands beside what is sealed. */
export interface MachineTerms {
  readonly factors: readonly { readonly name: MachineFactor; readonly weight: number; readonly required: boolean }[];
  /** The weight that must be reached. */
  readonly atLeast: number;
  /** Whether the machine's TPM takes part. */
  readonly tpm: boolean;
  /** Which salts it was bound with, 16 hex digits (docs/format.md section 13). */
  readonly saltsId: string;
  /** `default`: the public ones. `other`: this build cannot open it. */
  readonly salts: 'default' | 'this build' | 'other';
}

/** Options of `exportMachine`. */
export interface ExportMachineOptions extends MachinePolicy, OverwriteOptions {}

/** Options of `DeviceKey.generate` for a key that is sealed at rest. */
export interface SealedKeyOptions extends MachinePolicy {
  /** The key file to write (0600); an existing one is never replaced. */
  readonly path: string;
}

/** Options of `fingerprint`. */
export interface FingerprintOptions {
  /** Shows what was read, machine-id too. Default: false. */
  readonly values?: boolean | undefined;
  /** Asks a TPM for its endorsement key, which can take seconds. Default: false; the factor `tpm` is then absent. */
  readonly tpm?: boolean | undefined;
}

/** One factor of a machine, as found. */
export interface HardwareFactor {
  readonly name: MachineFactor;
  /**
   * `strong`: unique to this machine and hard to guess. `weak`: many machines share it. `virtual`: a hypervisor made it up, or may
   * copy it. `absent`: it cannot be read.
   */
  readonly quality: 'strong' | 'weak' | 'virtual' | 'absent';
  /** Where it is read, or would be. */
  readonly source: string;
  /** Whether root alone can read it there. */
  readonly needsRoot: boolean;
  /** The reason for its quality. */
  readonly why: string;
  /** What counts, to the byte (docs/format.md section 12). Only where asked for and present. */
  readonly value?: string | undefined;
  /** The same for people, where that differs: names of devices, memory in GiB. */
  readonly label?: string | undefined;
}

/** What `fingerprint` found. */
export interface HardwareFingerprint {
  /** In this order: cpu, gpu, memory, drive, uuid, tpm. */
  readonly factors: readonly HardwareFactor[];
  readonly environment: {
    readonly container: boolean;
    /** The hypervisor; absent on bare metal. */
    readonly virtualMachine?: string | undefined;
  };
  /** Shown, never counted: a cloned image has the same. Only where values were asked for. */
  readonly machineId?: string | undefined;
  /** Of this build. `default`: the public ones, which every other build has too. */
  readonly salts: { /** 16 hex digits. */ readonly id: string; readonly default: boolean };
}

/** How the memory of a loaded model is protected: what was achieved, nothing more. */
export interface Protection {
  /** Kept out of swap. */
  readonly locked: boolean;
  /** Kept out of core dumps. */
  readonly dontdump: boolean;
  readonly hugePages: boolean;
  readonly memfd: boolean;
}

export type { ModelRef, PartStore, Stores };
