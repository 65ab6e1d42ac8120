/** Opens database, keys and audit log for a command on the server's machine, without a server. */
import { access } from 'node:fs/promises';
import { fingerprintOf, ModelGuardError } from '@org/model-guard/server-kit';
import { confirmRights } from '../accounts/rights.js';
import { createAuditLog } from '../audit/log.js';
import type { Config } from '../base/config.js';
import type { Context } from '../context.js';
import { openClock } from '../database/clock.js';
import type { Database } from '../database/connection.js';
import { findDatabaseUrl, openDatabase } from '../database/open.js';
import { databaseFile } from '../database/sqlite/file.js';
import { identify, readBoundKeys } from '../keys/key-binding.js';
import { ServerKeyring } from '../keys/keyring.js';
import { makeLog } from './log.js';

/** The part of the context that commands need. */
export type Maintenance = Pick<Context, 'audit' | 'config' | 'db' | 'keys'>;

/** The public keys of a server, and its id. */
export interface PublicKeys {
  /** `mgs1:…`: clients pin it. */
  readonly signingKey: string;
  readonly fingerprint: string;
  readonly serverId: string;
  /** `mgs1:…`, of checkpoints. */
  readonly auditKey: string;
}

/**
 * Reads the names of the keys from the database alone, also while the server runs.
 * @throws NOT_FOUND where there is no server's state
 */
export const publicKeys = (config: Config): Promise<PublicKeys> =>
  withDatabase(config, async ({ db }) => {
    const { signing, audit } = await readBoundKeys(db);
    const { serverId } = await identify(db);
    return { signingKey: signing, fingerprint: fingerprintOf(signing), serverId, auditKey: audit };
  });

/**
 * Runs `task` on the state of a server, also while that server runs: each change is one transaction. Makes neither a database nor
 * keys.
 * @throws NOT_FOUND where there is no server's state
 */
export const maintain = <Result>(given: Config, task: (context: Maintenance) => Promise<Result>): Promise<Result> =>
  withDatabase(given, async ({ config, db, logId }) => {
    const clock = await openClock(db, config, makeLog({ ...config, logLevel: 'silent' }));
    try {
      const { now } = clock;
      const keys = await ServerKeyring.open(config, db, now);
      return await task({ config, db, keys, audit: createAuditLog({ db, keys, logId, now, confirmRights }) });
    } finally {
      clock.close();
    }
  });

interface OpenDatabase {
  readonly config: Config;
  readonly db: Database;
  readonly logId: string;
}

/** @throws NOT_FOUND where there is no server's state */
async function withDatabase<Result>(given: Config, task: (opened: OpenDatabase) => Promise<Result>): Promise<Result> {
  const config = { ...given, databaseUrl: await findDatabaseUrl(given) };
  if (config.databaseUrl === undefined) await demandFile(config.dataFolder);
  const db = await openDatabase(config);
  try {
    const meta = await db.selectFrom('meta').selectAll().where('key', 'in', ['log_id', 'keys']).execute();
    const logId = meta.find(({ key }) => key === 'log_id')?.value;
    if (logId === undefined || meta.length < 2) throw noServer('The database holds no state of a guard server');
    return await task({ config, db, logId });
  } finally {
    await db.destroy();
  }
}

async function demandFile(dataFolder: string): Promise<void> {
  const file = databaseFile(dataFolder);
  await access(file).catch((cause: unknown) => {
    throw noServer(`There is no database ${file}`, cause);
  });
}

const noServer = (what: string, cause?: unknown): ModelGuardError =>
  new ModelGuardError('NOT_FOUND', what, {
    cause,
    advice: 'Name the data folder of the server (--data) and, with PostgreSQL, its database (DATABASE_URL).',
  });
