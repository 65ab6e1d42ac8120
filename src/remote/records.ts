/** The records of a guard server. Times are seconds since 1970, ids 32 hex digits. test/types.test.ts keeps these and the contract equal. */

/** The role of an account, which decides its permissions. */
export type AccountRole = 'none' | 'operator' | 'validator' | 'companion' | 'admin' | 'resourceUploader' | 'apiAdmin';

/** An account. */
export interface Account {
  readonly id: string;
  readonly email: string;
  readonly name?: string | undefined;
  readonly address?: string | undefined;
  readonly role: AccountRole;
  readonly disabled: boolean;
  readonly mustChangePassword: boolean;
  readonly created: number;
}

/** A device as the server knows it. */
export interface Device {
  readonly id: string;
  readonly account: string;
  readonly name: string;
  /** `mgd1:…` */
  readonly publicKey: string;
  /** To compare with what the device prints before it is approved. */
  readonly fingerprint: string;
  /** Its key is sealed to its machine. */
  readonly sealed: boolean;
  readonly state: 'pending' | 'approved' | 'revoked';
  readonly created: number;
  readonly decided?: number | undefined;
}

/** The answer of `enroll`. */
export interface Enrolment {
  readonly device: Device;
  /** Of this device's key, by this machine: what the administrator compares. */
  readonly fingerprint: string;
  readonly state: Device['state'];
}

/** A permission to load a model or to unlock an archive, and its terms. */
export interface Entitlement {
  readonly id: string;
  readonly kind: 'model' | 'archive';
  readonly name: string;
  readonly account: string;
  /** Absent: any device of the account. */
  readonly device?: string | undefined;
  /** Devices that may hold a lease at the same time. */
  readonly seats: number;
  readonly leaseSeconds: number;
  /** How long a lease opens without the server. */
  readonly offlineSeconds: number;
  readonly notBefore?: number | undefined;
  readonly notAfter?: number | undefined;
  readonly created: number;
}

/** A new entitlement. Defaults: a model, 1 seat, a day, an hour offline. */
export interface NewEntitlement {
  readonly kind?: 'model' | 'archive' | undefined;
  readonly name: string;
  readonly account: string;
  readonly device?: string | undefined;
  readonly seats?: number | undefined;
  readonly leaseSeconds?: number | undefined;
  readonly offlineSeconds?: number | undefined;
  readonly notBefore?: number | undefined;
  readonly notAfter?: number | undefined;
}

/** A published version as the server knows it. */
export interface ModelVersion {
  readonly name: string;
  readonly version: string;
  /** Grows with every publication of this name. */
  readonly ordinal: number;
  readonly state: 'pending' | 'released' | 'rejected' | 'revoked';
  readonly format: string;
  readonly payloadId: string;
  readonly digest: string;
  readonly smallBytes: number;
  readonly bigBytes: number;
  readonly bigName: string;
  /** The publisher that signed it, `mgs1:…`. */
  readonly publisher: string;
  readonly publishedBy: string;
  readonly created: number;
  readonly decided?: number | undefined;
}

/** A lease of a device. */
export interface LeaseFacts {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly ordinal: number;
  readonly device: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** Until when it opens without the server. */
  readonly offlineUntil: number;
  /** The publishers of this model, as the server says. Only pinned ones are trusted. */
  readonly publishers: readonly string[];
  /** `kept`: the server could not be reached. */
  readonly source: 'server' | 'kept';
}

/** A lease as administrators see it. */
export interface IssuedLease {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly device: string;
  readonly account: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly offlineUntil: number;
  /** The seat is held for longer than the lease: the device may have kept an earlier, longer one. */
  readonly seatUntil?: number | undefined;
  /** Also of a lease that a later one of the same device superseded. */
  readonly revoked: boolean;
  readonly created: number;
}

/** A key that publishers encrypt to. */
export interface ServerEncryptionKey {
  /** `mgx1:…` */
  readonly key: string;
  readonly state: 'current' | 'retiring';
  /** Publications to a retiring key are accepted until then. */
  readonly until?: number | undefined;
}

/** Facts about the server, signed by the pinned key or its successor. */
export interface ServerFacts {
  readonly id: string;
  readonly keys: readonly ServerEncryptionKey[];
  /** The public key of the audit log's checkpoints, `mgs1:…`. */
  readonly auditKey: string;
  readonly logId: string;
  readonly tokens: 'EdDSA' | 'HS256' | 'off';
  readonly time: number;
  /** Signing keys, the pinned one first. */
  readonly signingKeys: readonly string[];
}

/** The server's word that its audit log was restored, for devices that saw more of it. */
export interface RestoredLog {
  readonly statement: { readonly payload: string; readonly signature: string; readonly key: string };
  /** To compare over another way than the network. */
  readonly fingerprint: string;
}

/** A change of the server's encryption key. */
export interface KeyRotation {
  readonly id: string;
  readonly state: 'running' | 'done';
  readonly from: string;
  readonly to: string;
  readonly total: number;
  readonly done: number;
  readonly started: number;
  readonly finished?: number | undefined;
  readonly acceptUntil: number;
  /** The limits of a rotation, in a sentence. */
  readonly notice: string;
}

/** A change of the server's signing key, which is done at once. */
export interface SigningKeyRotation {
  /** The key that new clients pin, `mgs1:…`. */
  readonly key: string;
  /** The key that it replaced. */
  readonly previous: string;
  /** Of the new key, to compare. */
  readonly fingerprint: string;
}

/** How an archive is encrypted. */
export type ArchiveFormat = 'container' | 'legacy';

/** A registered archive. */
export interface Archive {
  readonly name: string;
  readonly format: ArchiveFormat;
  /** Of the file, 64 hex digits. */
  readonly sha256: string;
  readonly size: number;
  readonly registeredBy: string;
  readonly created: number;
}

/** An event of the audit log. */
export interface AuditEvent {
  readonly seq: number;
  readonly time: string;
  readonly action: string;
  readonly outcome: 'success' | 'failure' | 'denied';
  readonly resource?: string | undefined;
  readonly request?: string | undefined;
  readonly subject?: string | undefined;
  /** Absent once its subject was erased. */
  readonly personal?:
    | {
        readonly actor?: string | undefined;
        readonly account?: string | undefined;
        readonly address?: string | undefined;
        readonly detail?: string | undefined;
      }
    | undefined;
}

/** Everything that the server stores about a person. */
export interface PersonalData {
  readonly account: Account;
  readonly devices: readonly Device[];
  readonly entitlements: readonly Entitlement[];
  readonly leases: readonly IssuedLease[];
  readonly events: readonly AuditEvent[];
}
