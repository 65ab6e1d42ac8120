/** The tables. Ids are 32 hex digits, times seconds since 1970, personal data boxed (docs/server-protocol.md, section 6). */
import type { Role } from '@org/model-guard/server-kit';
import type { ColumnType, Generated } from 'kysely';

/** Single values: server id, log id. */
export interface MetaTable {
  key: string;
  value: string;
}

/** A subject, whose key K_s boxes personal data. Destroying the row erases the data. */
export interface SubjectTable {
  id: string;
  /** K_s, wrapped. */
  wrapped: Buffer;
  /** `day`: log-ins of unknown users on that day. */
  kind: 'user' | 'day';
  /** `YYYY-MM-DD` of a day. */
  day: string | null;
  created: number;
}

export interface UserTable {
  id: string;
  subject: string;
  /** HMAC of the address. */
  email_index: Buffer;
  /** `{ email, name?, address? }`, boxed; aad = the account id's bytes. */
  profile: Buffer;
  /** argon2id, PHC string. */
  password: string;
  role: Role;
  disabled: number;
  must_change_password: number;
  /** Tokens of an earlier epoch are refused: it grows when the password changes and when the account is disabled. */
  token_epoch: Generated<number>;
  created: number;
}

/** Failed log-ins by HMAC of the address, known or not, and HMAC of the network. */
export interface LoginFailureTable {
  email_index: Buffer;
  /** HMAC of the address and the network. */
  network: Buffer;
  failures: number;
  first: number;
  last: number;
  locked_until: number;
}

/** Networks that an address has logged in from; HMACs as in {@link LoginFailureTable}. */
export interface KnownNetworkTable {
  email_index: Buffer;
  network: Buffer;
  last_used: number;
}

/** The queue of unknown networks while an address is being guessed at (`accounts/login-queue.ts`). */
export interface LoginTurnTable {
  email_index: Buffer;
  /** HMAC of the address and the site; empty in the row of the queue's end. */
  site: Buffer;
  /** Time from which one attempt is allowed; where `used` is 1, the time of that attempt. */
  turn: number;
  used: number;
}

/** Public keys that verify tokens; the private ones live in the processes that made them. */
export interface TokenKeyTable {
  kid: string;
  jwk: string;
  /** Until the last token of the key has expired. */
  expires: number;
}

export interface DeviceTable {
  id: string;
  account: string;
  /** Boxed under the account's subject; aad = the device id's bytes. */
  name: Buffer;
  /** `mgd1:…` */
  public_key: string;
  machine_identity: Buffer | null;
  state: 'pending' | 'approved' | 'revoked';
  created: number;
  decided: number | null;
}

export interface ChallengeTable {
  /** base64url */
  challenge: string;
  purpose: 'enrolment' | 'lease-request';
  /** The account that the challenge was made for. */
  account: string;
  /** For an enrolment only. */
  nonce: Buffer | null;
  expires: number;
}

export interface PublisherTable {
  name: string;
  key: string;
}

export interface VersionTable {
  name: string;
  version: string;
  ordinal: number;
  state: 'pending' | 'released' | 'rejected' | 'revoked';
  format: string;
  payload_id: string;
  digest: string;
  /** Wrapped to `wrapped_to` alone. */
  small: Buffer;
  /** `mgx1:…` of the server's key. */
  wrapped_to: string;
  big_name: string;
  big_size: number;
  publisher: string;
  published_by: string;
  created: number;
  decided: number | null;
}

export interface EntitlementTable {
  id: string;
  kind: 'model' | 'archive';
  name: string;
  account: string;
  device: string | null;
  seats: number;
  lease_seconds: number;
  offline_seconds: number;
  not_before: number | null;
  not_after: number | null;
  created: number;
}

export interface LeaseTable {
  id: string;
  entitlement: string;
  name: string;
  version: string;
  device: string;
  account: string;
  not_before: number;
  not_after: number;
  offline_until: number;
  revoked: number;
  created: number;
  /** The device holds its seat until then: the end of the longest lease that it may have kept. 0 once the seat is free. */
  seat_until: number;
  /** Time at which a later lease of the same seat replaced it. */
  superseded: number | null;
}

export interface ArchiveTable {
  name: string;
  format: 'container' | 'legacy';
  sha256: string;
  size: number;
  /** Sealed to `wrapped_to`. */
  fragment: Buffer;
  wrapped_to: string;
  registered_by: string;
  created: number;
}

/** Keys that publishers encrypt to; their private halves are files. */
export interface EncryptionKeyTable {
  /** `mgx1:…` */
  key: string;
  /** `removed`: its file is gone. */
  state: 'current' | 'retiring' | 'removed';
  /** Publications to a retiring key are accepted until then. */
  until: number | null;
  created: number;
}

/** Each signing key that followed another one, with the statement of that other one. */
export interface SuccessionTable {
  /** Counts from 1, without gaps. */
  ordinal: number;
  /** As JSON. */
  statement: string;
  /** `mgs1:…` of the successor; its private half is a file. */
  key: string;
  created: number;
}

export interface RotationTable {
  id: string;
  /** In the order that they began. */
  ordinal: number;
  from_key: string;
  to_key: string;
  total: number;
  started: number;
  finished: number | null;
  /** Rows that could not be wrapped to the new key, counted at the end; null while it runs, and where a server before migration 0009 ended it. */
  remaining: number | null;
  accept_until: number;
}

/** The events' bytes, verbatim, and the head of the chain after each. */
export interface AuditTable {
  seq: number;
  bytes: Buffer;
  head: Buffer;
  /** Columns for queries; the same values as in the bytes. */
  time: number;
  action: string;
  outcome: 'success' | 'failure' | 'denied';
  resource: string | null;
  subject: string | null;
  /** The subject of the acting account, where it is not `subject`; the box names the account. */
  actor: string | null;
}

export interface CheckpointTable {
  seq: number;
  head: Buffer;
  time: number;
  signature: string;
}

/** The last check of a stored part. */
interface CheckedColumns {
  /** SHA-384 of the small part of the check. */
  checked_small: ColumnType<string | null, string | null | undefined, string | null>;
  /** The mark of the checked bytes: other bytes have another mark. */
  checked_mark: ColumnType<string | null, string | null | undefined, string | null>;
}

/** Big parts that are being uploaded to a bucket, or are in it. */
export interface UploadTable extends CheckedColumns {
  id: string;
  name: string;
  version: string;
  /** The name of the big part. */
  part: string;
  size: number;
  piece_bytes: number;
  /** The bucket's id of the upload; empty until the bucket has given one. */
  storage_id: string;
  account: string;
  /** `removing`: no request may use it any more. */
  state: 'open' | 'stored' | 'removing';
  created: number;
  /** Time of the last request for it. */
  touched: number;
}

/** Big parts that are being uploaded to the server's disk, or are on it. */
export interface DiskPartTable extends CheckedColumns {
  part: string;
  account: string;
  size: number;
  created: number;
}

/** Requests in a window of time; may be lost. */
export interface RateCountTable {
  key: string;
  window_end: number;
  count: number;
}

/** Tasks that one replica does for all; may be lost. */
export interface ClaimTable {
  task: string;
  holder: string;
  until: number;
}

export interface Schema {
  meta: MetaTable;
  subjects: SubjectTable;
  users: UserTable;
  login_failures: LoginFailureTable;
  known_networks: KnownNetworkTable;
  login_turns: LoginTurnTable;
  token_keys: TokenKeyTable;
  devices: DeviceTable;
  challenges: ChallengeTable;
  publishers: PublisherTable;
  versions: VersionTable;
  entitlements: EntitlementTable;
  leases: LeaseTable;
  archives: ArchiveTable;
  encryption_keys: EncryptionKeyTable;
  successions: SuccessionTable;
  rotations: RotationTable;
  audit: AuditTable;
  checkpoints: CheckpointTable;
  uploads: UploadTable;
  disk_parts: DiskPartTable;
  rate_counts: RateCountTable;
  claims: ClaimTable;
}
