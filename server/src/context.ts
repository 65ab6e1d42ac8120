/** The interfaces between the rooms of the server. */
import type { AuditAction, DeviceKey, FieldCipher, SigningKey, Statement } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Logger } from 'pino';
import type { Caller } from './base/caller.js';
import type { Config } from './base/config.js';
import type { MissingKeyError } from './base/missing-key.js';
import type { Connection, Database } from './database/connection.js';
import type { Schema } from './database/schema.js';

/** A signing key with its chain of statements from the first key, oldest first, and the key of checkpoints. */
export interface Signer {
  readonly key: SigningKey;
  readonly audit: SigningKey;
  readonly succession: readonly Statement[];
}

/** The opened keys of the server. `keys/keyring.ts` implements it. */
export interface Keyring {
  /** The ids of the database. */
  readonly ids: { readonly serverId: string; readonly logId: string };
  /** The signing key that this process has loaded. To sign, use {@link newest}. */
  readonly signing: SigningKey;
  /**
   * The key that the database names now: another process may have replaced it, or an older copy of the database may be in use.
   * Called before each signature, and once for two signatures that belong together.
   * @throws NOT_FOUND where the key's file is missing · DatabaseUnavailable where it is another server's database
   */
  newest(connection: Connection): Promise<Signer>;
  readonly audit: SigningKey;
  readonly fields: FieldCipher;
  /** The key of that name, current or retiring; undefined once it is removed. */
  find(key: string): DeviceKey | undefined;
  /** The error for a key that a row names and that {@link find} does not know. */
  missing(key: string): MissingKeyError;
  /** Every key that still opens something. */
  all(): readonly DeviceKey[];

  /** Makes an encryption key in its file. The file exists before any row names it. */
  make(): Promise<DeviceKey>;
  /**
   * Writes the rows of a new current key. Publications to the former key are accepted until `acceptUntil`. {@link reload} follows
   * the commit.
   */
  promote(transaction: Transaction<Schema>, key: DeviceKey, acceptUntil: number, now: number): Promise<void>;
  /** Makes a signing key in its file. `keys/succession.ts` makes it the successor; {@link reload} follows the commit. */
  makeSigning(): Promise<SigningKey>;
  /** Loads the keys that the rows name now. */
  reload(connection: Connection): Promise<void>;
  /**
   * Removes the row of a retiring key that nothing is wrapped to any more; false where it is gone already. {@link discard}
   * follows the commit.
   */
  remove(transaction: Transaction<Schema>, key: string): Promise<boolean>;
  /** Destroys the file of an encryption or signing key that no row uses. */
  discard(key: string): Promise<void>;
}

/** An event for the audit log. */
export interface AuditEntry {
  /** The permission or the concern, then what was done. */
  readonly action: AuditAction;
  readonly outcome: 'success' | 'failure' | 'denied';
  /** `model:defects@3`, `device:<id>`, `account:<id>`; never personal. */
  readonly resource?: string | undefined;
  readonly caller: Caller;
  /** The subject whose data the event is about, where that is not the caller: the event is boxed under it then. */
  readonly subject?: string | undefined;
  /** Personal or long text, which is boxed. Never a secret. */
  readonly detail?: string | undefined;
}

/** Records events, each in the transaction of the change that it is about. */
export interface AuditLog {
  /**
   * Appends an event. For a success, reads the rights of the caller again, in the same transaction.
   * @throws NOT_AUTHENTICATED, NOT_AUTHORISED
   */
  append(transaction: Transaction<Schema>, entry: AuditEntry): Promise<void>;
  /** The same for what was refused and changed nothing: repeated refusals are counted (`audit/repeated-refusals.ts`). */
  refuse(transaction: Transaction<Schema>, entry: AuditEntry): Promise<void>;
  /** In a transaction of its own: reads, and refusals as by {@link refuse}. */
  record(entry: AuditEntry): Promise<void>;
  /**
   * Writes the numbers of refusals that were not written one by one (`audit/repeated-refusals.ts`).
   * @param final also of a minute that is not over, whose count then begins anew: the server ends
   */
  settle(final?: boolean): Promise<void>;
}

/** Collects the tasks that delete expired data. `start/cleanup.ts` runs them at the start and every hour. */
export interface Cleanup {
  /** Several processes may run a task at the same time. */
  add(task: () => Promise<unknown>): void;
  /** Runs every task, also after one has failed, and throws the failures at the end. */
  run(): Promise<void>;
}

export interface Context {
  readonly config: Config;
  readonly db: Database;
  readonly keys: Keyring;
  readonly serverId: string;
  readonly logId: string;
  readonly audit: AuditLog;
  readonly cleanup: Cleanup;
  readonly log: Logger;
  /** Seconds since 1970. */
  readonly now: () => number;
}
