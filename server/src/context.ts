/** What every part of the server is given. */
import type { AuditAction, DeviceKey, FieldCipher, Permission, Role, SigningKey, Statement } from '@org/model-guard/server-kit';
import type { Kysely, Transaction } from 'kysely';
import type { Logger } from 'pino';
import type { Config } from './config.js';
import type { Schema } from './database/schema.js';
import type { Parts } from './models/parts.js';

export type Database = Kysely<Schema>;
/** A transaction, or the database where none is needed. */
export type Connection = Database | Transaction<Schema>;

/** A signing key, and what leads from the first one to it, oldest first; beside it the key of checkpoints. */
export interface Signer {
  readonly key: SigningKey;
  readonly audit: SigningKey;
  readonly succession: readonly Statement[];
}

/** The server's keys, opened. `keys/keyring.ts` makes it. */
export interface Keyring {
  /** The ids of the database. */
  readonly ids: { readonly serverId: string; readonly logId: string };
  /** The one that this process has loaded. To sign with: {@link newest}. */
  readonly signing: SigningKey;
  /**
   * What the database says is signed with now: another process may have replaced the key, or an older copy of the database may have taken
   * its place. Nothing is signed without asking; for two things that belong together, once.
   * @throws INTERNAL where the key's file is not here · DatabaseAway where it is another server's database
   */
  newest(connection: Connection): Promise<Signer>;
  readonly audit: SigningKey;
  readonly fields: FieldCipher;
  /** What small parts are wrapped to. */
  current(): DeviceKey;
  /** The key of that name, current or retiring; undefined once it is removed. */
  find(key: string): DeviceKey | undefined;
  /** Every key that still opens something. */
  all(): readonly DeviceKey[];

  /** A new encryption key in its file, not used yet: the file is there before any row names it. */
  make(): Promise<DeviceKey>;
  /** The rows of a new current key; publications to the one before are accepted until then. {@link reload} follows the commit. */
  promote(transaction: Transaction<Schema>, key: DeviceKey, acceptUntil: number, now: number): Promise<void>;
  /** A new signing key in its file, not used yet. `keys/succession.ts` makes it the successor; {@link reload} follows the commit. */
  makeSigning(): Promise<SigningKey>;
  /** Takes up what the rows say now. */
  reload(connection: Connection): Promise<void>;
  /** The row of a retiring key that nothing is wrapped to any more; false where it is gone already. {@link discard} follows the commit. */
  remove(transaction: Transaction<Schema>, key: string): Promise<boolean>;
  /** Destroys the file of an encryption or signing key that no row uses. */
  discard(key: string): Promise<void>;
}

/** The rights by which a request was admitted. They may end before the request does, so a change reads them again (`accounts/rights.ts`). */
export interface Rights {
  /** Of the account when its token was made; undefined where authentication is off. */
  readonly epoch: number | undefined;
  /** Of the account when its token was made; undefined where authentication is off. It decides nothing. */
  readonly tokenRole?: string | undefined;
  /** The permission that the route demands. */
  readonly access: Permission;
}
/** Who asks. */
export interface Caller {
  /** Absent before log-in. */
  readonly account?: { readonly id: string; readonly subject: string; readonly role: Role } | undefined;
  /** Absent where no account is needed: before log-in, and of the server itself. */
  readonly rights?: Rights | undefined;
  /** The network address, anonymised as the policy says. */
  readonly address: string;
  /** The network by which requests are counted (`networkOf`), whatever the policy says: it is never kept. Absent for the server itself. */
  readonly network?: string | undefined;
  readonly request: string;
}
/** Somebody who has logged in. */
export type Member = Caller & { readonly account: NonNullable<Caller['account']> };

/** What the audit log is told. */
export interface AuditEntry {
  /** The permission or the concern, then what was done. */
  readonly action: AuditAction;
  readonly outcome: 'success' | 'failure' | 'denied';
  /** `model:defects@3`, `device:<id>`, `account:<id>`; never personal. */
  readonly resource?: string | undefined;
  readonly caller: Caller;
  /** Whose data it is about where that is not the caller: then the event is boxed under that account's subject. */
  readonly subject?: string | undefined;
  /** Boxed: what is personal or long. Never a secret. */
  readonly detail?: string | undefined;
}

/** Where events go: in the transaction of what they tell about, so that neither is without the other. */
export interface AuditLog {
  /**
   * What succeeds counts only while the caller still may: the rights are read again here, in the transaction.
   * @throws NOT_AUTHENTICATED, NOT_AUTHORISED
   */
  append(transaction: Transaction<Schema>, entry: AuditEntry): Promise<void>;
  /** {@link append} in a transaction of its own: reads and refusals. */
  record(entry: AuditEntry): Promise<void>;
  /** Writes how many refusals were not written one by one (`audit/repeated-refusals.ts`), also of the minute that is not over. */
  settle(): Promise<void>;
}

export interface Context {
  readonly config: Config;
  readonly db: Database;
  readonly keys: Keyring;
  readonly serverId: string;
  readonly logId: string;
  readonly audit: AuditLog;
  readonly parts: Parts;
  readonly log: Logger;
  /** Seconds since 1970. */
  readonly now: () => number;
}
