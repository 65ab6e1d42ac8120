/** Whether the database takes what is written. */
import { sql } from 'kysely';
import type { Context } from '../context.js';
import { DatabaseAway } from './away.js';

/** Throws where it does not: one that another one took the place of still answers whoever reads. A file was opened for writing. */
export async function checkWritable({ db, config }: Pick<Context, 'db' | 'config'>): Promise<void> {
  if (config.databaseUrl === undefined) return;
  const { rows } = await sql<{ transaction_read_only: string }>`show transaction_read_only`.execute(db);
  if (rows[0]?.transaction_read_only !== 'off') throw new DatabaseAway('The database is for reading only', true);
}
