/** The first account. Its password is in a file for this user alone, until it is changed. */
import { randomBytes } from 'node:crypto';
import { renameSync } from 'node:fs';
import { open, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Transaction } from 'kysely';
import type { Caller, Context } from '../context.js';
import type { Schema } from '../database/schema.js';
import { findText } from '../secrets.js';
import { checkPassword, hashPassword } from './passwords.js';
import { insertUser } from './users.js';

const FIRST = 'first_account';
const nobody: Caller = { address: '', request: 'first-start' };

/** Where the first password is. */
export const firstPasswordFile = (dataFolder: string): string => join(dataFolder, 'admin-password.txt');

/**
 * Makes an apiAdmin where there is no account yet. The file gets its name within the transaction: a start that is killed before the
 * commit leaves no account, and the next one makes both anew.
 * @returns the file, if an account was made and its password is in it
 */
export async function makeFirstAccount(context: Context): Promise<string | undefined> {
  const { config, db } = context;
  if (await db.selectFrom('users').select('id').limit(1).executeTakeFirst()) {
    await removeFirstPassword(context);
    return undefined;
  }
  const chosen = await findText(config, 'admin_password');
  if (chosen !== undefined) checkPassword(chosen, config.adminEmail);
  const plain = chosen ?? randomBytes(18).toString('base64url');
  const password = await hashPassword(plain);
  const file = firstPasswordFile(config.dataFolder);
  const temporary = chosen === undefined ? await writeTemporary(file, plain) : undefined;
  const made = await db.transaction().execute(async (trx) => {
    if (await trx.selectFrom('users').select('id').limit(1).executeTakeFirst()) return false;
    const profile = { email: config.adminEmail };
    const { id, subject } = await insertUser(context, trx, { profile, role: 'apiAdmin', password, mustChange: true });
    await trx.insertInto('meta').values({ key: FIRST, value: id }).execute();
    const about = { resource: `account:${id}`, subject, caller: nobody };
    await context.audit.append(trx, { action: 'users.create', outcome: 'success', ...about });
    if (temporary !== undefined) renameSync(temporary, file);
    return true;
  });
  if (made) return temporary && file;
  // Another process was first.
  if (temporary !== undefined) await rm(temporary, { force: true });
  return undefined;
}

/** The password in the file is no longer that of the first account, if `id` is that one. {@link removeFirstPassword} follows the commit. */
export async function forgetFirstAccount(trx: Transaction<Schema>, id: string): Promise<void> {
  await trx.deleteFrom('meta').where('key', '=', FIRST).where('value', '=', id).execute();
}

/** Once the first account has a password of its own, nobody needs the file. */
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
  // What starts that were killed, or that came second, have left.
  const left = (await readdir(config.dataFolder)).filter((name) => name.startsWith(`${basename(file)}.`));
  for (const name of left) await rm(join(config.dataFolder, name), { force: true });
}

async function writeTemporary(file: string, password: string): Promise<string> {
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
