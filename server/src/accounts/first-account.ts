/** Makes the first account, an apiAdmin with a one-time password. */
import { randomBytes } from 'node:crypto';
import { renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Caller } from '../base/caller.js';
import { findText } from '../base/secrets.js';
import type { Context } from '../context.js';
import { firstPasswordFile, noteFirstAccount, removeFirstPassword, writeTemporaryPassword } from './first-password.js';
import { checkPassword, hashPassword } from './passwords.js';
import { insertUser } from './users.js';

const SERVER: Caller = { address: '', request: 'first-start' };

/**
 * Makes an apiAdmin where there is no account yet. The file gets its name within the transaction: a start that is killed before the
 * commit leaves no account, and the next start makes both anew.
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
  const temporary = chosen === undefined ? await writeTemporaryPassword(file, plain) : undefined;
  const made = await db.transaction().execute(async (trx) => {
    if (await trx.selectFrom('users').select('id').limit(1).executeTakeFirst()) return false;
    const profile = { email: config.adminEmail };
    const { id, subject } = await insertUser(context, trx, { profile, role: 'apiAdmin', password, mustChange: true });
    await noteFirstAccount(trx, id);
    const about = { resource: `account:${id}`, subject, caller: SERVER };
    await context.audit.append(trx, { action: 'users.create', outcome: 'success', ...about });
    if (temporary !== undefined) renameSync(temporary, file);
    return true;
  });
  if (made) return temporary && file;
  // Another process made the account first.
  if (temporary !== undefined) await rm(temporary, { force: true });
  return undefined;
}
