/** Opens the database: PostgreSQL where a URL is given, else a file of the data folder. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import type { Config } from '../base/config.js';
import { weaknessOfPassword } from '../base/secret-strength.js';
import { findText } from '../base/secrets.js';
import { makeStateFolder } from '../base/state-folder.js';
import type { Database } from './connection.js';
import { POSTGRES_TABLES, SQLITE_TABLES } from './dialect.js';
import { migrate } from './migrations.js';
import { openPostgres } from './postgres/driver.js';
import { demandTls } from './postgres/tls.js';
import { sqliteDriver } from './sqlite/drivers/index.js';
import { failureOf, isDamaged } from './sqlite/failures.js';
import { databaseFile, openSqlite } from './sqlite/file.js';
import { DatabaseUnavailable } from './unavailable.js';

/** The place of the database. */
export type DatabasePlace = Pick<Config, 'dataFolder' | 'databaseUrl'>;

/**
 * The URL of PostgreSQL: the secret `model_guard_database_url`, else that of the configuration.
 * @throws INVALID_ARGUMENT for a URL that production refuses
 */
export async function findDatabaseUrl(config: Config): Promise<string | undefined> {
  const url = (await findText(config, 'database_url')) ?? config.databaseUrl;
  if (config.production && url !== undefined) {
    demandTls(url);
    const password = passwordOf(url);
    const weakness = password === '' ? undefined : weaknessOfPassword(password);
    if (weakness !== undefined)
      throw new ModelGuardError(
        'INVALID_ARGUMENT',
        `The password in the URL of the database (model_guard_database_url, else DATABASE_URL) ${weakness}`,
        { advice: 'Give the role of the database a random one.' },
      );
  }
  return url;
}

/** Empty where the URL holds none. A URL that cannot be parsed is refused where it is used. */
function passwordOf(url: string): string {
  try {
    const { password, searchParams } = new URL(url);
    return searchParams.get('password') ?? decodeURIComponent(password);
  } catch {
    return '';
  }
}

/**
 * Names the database and its driver for an operator.
 * @throws NATIVE_UNAVAILABLE where no driver of SQLite is there, and one is needed
 */
export async function describeDatabase({ databaseUrl }: Pick<DatabasePlace, 'databaseUrl'>): Promise<string> {
  return databaseUrl === undefined ? `SQLite (${(await sqliteDriver()).name})` : 'PostgreSQL';
}

/**
 * Opens the database and brings its tables up to date; makes the data folder if it is missing, for this user alone.
 * @throws INVALID_ARGUMENT for a URL that is none of PostgreSQL; SERVER_UNREACHABLE; NATIVE_UNAVAILABLE without a driver of SQLite;
 *   IO_FAILED where the file or its disk cannot be used
 */
export async function openDatabase({ dataFolder, databaseUrl }: DatabasePlace): Promise<Database> {
  await makeStateFolder(dataFolder, '--data');
  let db: Database | undefined;
  try {
    db = databaseUrl === undefined ? await openSqlite(dataFolder) : openPostgres(databaseUrl);
    await migrate(db, databaseUrl === undefined ? SQLITE_TABLES : POSTGRES_TABLES);
    return db;
  } catch (error) {
    // Throw the first failure, not one of closing.
    await db?.destroy().catch(() => undefined);
    if (isDamaged(error))
      throw new ModelGuardError('IO_FAILED', `${databaseFile(dataFolder)} is no database of SQLite, or a damaged one`, {
        cause: error,
        advice: 'Restore it from a backup, or give another folder (--data).',
      });
    const cause = failureOf(error);
    if (!(cause instanceof DatabaseUnavailable)) throw cause;
    throw databaseUrl === undefined
      ? new ModelGuardError('IO_FAILED', cause.message, {
          cause: error,
          advice: `Make room on the disk of ${dataFolder}, and see that this user may write there and no other program holds the file.`,
        })
      : new ModelGuardError('SERVER_UNREACHABLE', cause.message, {
          advice: 'Check the URL of the database, and that it takes connections.',
        });
  }
}
