/** The tables. Ids are 32 hex digits, times seconds since 1970, personal data boxed (docs/server-protocol.md, section 6). */
import type { Role } from '@org/model-guard/server-kit';
import type { ColumnType, Generated } from 'kysely';

/** What there is one of: server id, log id. */
export interface MetaTable {
  key: string;
  value: string;
}

/** Whose personal data a key K_s boxes. Destroying the row erases them. */
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

/** Failed log-ins by HMAC of the address, whether it is known or not, and of the network. */
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

/** The line in which unknown networks wait while an address is being guessed at (`accounts/turns.ts`). */
export interface LoginTurnTable {
  email_index: Buffer;
  /** HMAC of the address and the site; empty: the end of the line. */
  site: Buffer;
  /** From when on one attempt is allowed; where `used` is 1, when it was made. */
  turn: number;
  used: number;
}

/** Public keys of tokens, signed by the server; the private ones live in the processes that made them. */
export interface TokenKeyTable {
  kid: string;
  jwk: string;
  /** Kept until the last token is over. */
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
  /** Who asked for it. */
  account: string;
  /** Of an enrolment. */
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
  /** The device counts until then: the end of the longest lease that it may have kept. 0 once the seat is free. */
  seat_until: number;
  /** When a later lease of the same seat took its place. */
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

/** Each signing key that followed another one, and the word of that other one for it. */
export interface SuccessionTable {
  /** From 1 on, without gaps. */
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
  accept_until: number;
}

/** The events' bytes, verbatim, and the head of the chain after each. */
export interface AuditTable {
  seq: number;
  bytes: Buffer;
  head: Buffer;
  /** What queries select by; the same as in the bytes. */
  time: number;
  action: string;
  outcome: 'success' | 'failure' | 'denied';
  resource: string | null;
  subject: string | null;
  /** The subject of the account that did it, where that is another; in the box it is an account. */
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
  /** SHA-384 of the small part that it was checked against. */
  checked_small: ColumnType<string | null, string | null | undefined, string | null>;
  /** Names the bytes that were checked: other bytes have another mark. */
  checked_mark: ColumnType<string | null, string | null | undefined, string | null>;
}

/** Big parts on their way into a bucket, or there and not published yet. */
export interface UploadTable extends CheckedColumns {
  id: string;
  name: string;
  version: string;
  /** The name of the big part. */
  part: string;
  size: number;
  piece_bytes: number;
  /** What the bucket calls the upload; empty until it says so. */
  storage_id: string;
  account: string;
  /** `removing`: nobody may use it any more. */
  state: 'open' | 'stored' | 'removing';
  created: number;
  /** When somebody last sent something. */
  touched: number;
}

/** Big parts on the server's own disk, or on their way there. */
export interface DiskPartTable extends CheckedColumns {
  part: string;
  account: string;
  size: number;
  created: number;
}

/** How often somebody asked in a window of time; may be lost. */
export interface RateCountTable {
  key: string;
  window_end: number;
  count: number;
}

/** Work that one replica does for all; may be lost. */
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
