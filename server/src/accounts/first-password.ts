/** The file of the first account's password. It exists until that password is changed. */
import { randomBytes } from 'node:crypto';
import { open, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Transaction } from 'kysely';
import type { Context } from '../context.js';
import type { Schema } from '../database/schema.js';

/** The key of `meta` under which the id of the first account stands while its password is the one in the file. */
const FIRST = 'first_account';

/** The file within a data folder. */
export const firstPasswordFile = (dataFolder: string): string => join(dataFolder, 'admin-password.txt');

/** Notes that the password in the file is that of the account `id`. */
export async function noteFirstAccount(trx: Transaction<Schema>, id: string): Promise<void> {
  await trx.insertInto('meta').values({ key: FIRST, value: id }).execute();
}

/** Notes that the account `id` has another password than the one in the file. {@link removeFirstPassword} follows the commit. */
export async function forgetFirstAccount(trx: Transaction<Schema>, id: string): Promise<void> {
  await trx.deleteFrom('meta').where('key', '=', FIRST).where('value', '=', id).execute();
}

/** Writes a password to a file for this user alone, to be renamed to {@link firstPasswordFile}. Returns its path. */
export async function writeTemporaryPassword(file: string, password: string): Promise<string> {
  const temporary = `${file}.${randomBytes(8).toString('hex')}`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(`${password}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return temporary;
}

/** Removes the file once the first account has another password, and temporary files of starts that were killed or came second. */
export async function removeFirstPassword({ db, config }: Pick<Context, 'db' | 'config'>): Promise<void> {
  const waiting = await db
    .selectFrom('meta')
    .innerJoin('users', 'users.id', 'meta.value')
    .select('users.id')
    .where('meta.key', '=', FIRST)
    .where('users.must_change_password', '=', 1)
    .executeTakeFirst();
  const file = firstPasswordFile(config.dataFolder);
  if (!waiting) await rm(file, { force: true });
  const left = (await readdir(config.dataFolder)).filter((name) => name.startsWith(`${basename(file)}.`));
  for (const name of left) await rm(join(config.dataFolder, name), { force: true });
}
