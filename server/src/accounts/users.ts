/** Makes, lists and changes accounts. */
import { randomBytes } from 'node:crypto';
import { ModelGuardError, type RouteInput } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import { recordRefusals } from '../audit/record-refusals.js';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import { datedCursor, datedPage, type Page, type PageQuery, pageOf } from '../database/pages.js';
import type { Schema } from '../database/schema.js';
import { afterCommit } from '../database/unavailable.js';
import { forgetAttempts } from './admission.js';
import { forgetFirstAccount, removeFirstPassword } from './first-password.js';
import { checkPassword, hashPassword } from './passwords.js';
import { type Account, accountOf, openProfile, type Profile, sealProfile, type UserRow, users } from './profiles.js';
import { confirmRights } from './rights.js';

const newId = (): string => randomBytes(16).toString('hex');
type NewUser = RouteInput<'createUser'>['body'];
type Changes = RouteInput<'updateUser'>['body'];

/** Advice for accounts that do not exist. */
export const CHECK_ACCOUNT = 'Look at the list of accounts (`model-guard users list`).';

/** @throws NOT_FOUND */
export async function findUser(connection: Connection, id: string): Promise<UserRow> {
  const row = await users(connection).where('users.id', '=', id).executeTakeFirst();
  if (!row) throw new ModelGuardError('NOT_FOUND', `There is no account ${id}`, { advice: CHECK_ACCOUNT });
  return row;
}

const withEmail = (connection: Connection, index: Buffer) =>
  connection.selectFrom('users').select(['id', 'subject']).where('email_index', '=', index).executeTakeFirst();

/** @throws NOT_FOUND */
export function findByEmail(context: Context, caller: Member, email: string): Promise<{ account: string }> {
  const { keys, db, audit } = context;
  return recordRefusals(context, { action: 'users.find', caller }, async () => {
    const found = await withEmail(db, Buffer.from(keys.fields.emailIndex(email)));
    if (!found) throw new ModelGuardError('NOT_FOUND', 'No account has this e-mail address', { advice: CHECK_ACCOUNT });
    const about = { resource: `account:${found.id}`, subject: found.subject };
    await audit.record({ action: 'users.find', outcome: 'success', caller, ...about });
    return { account: found.id };
  });
}

/** Accounts, oldest first. */
export async function listUsers(context: Context, page: PageQuery): Promise<Page<Account>> {
  const rows = await datedPage(users(context.db), 'users', page).execute();
  return pageOf(rows, page.limit, datedCursor, (row) => accountOf(context, row));
}

/** Writes the rows of a new account; its password is hashed already. ALREADY_EXISTS */
export async function insertUser(
  context: Pick<Context, 'keys' | 'now'>,
  trx: Transaction<Schema>,
  { profile, role, password, mustChange }: { profile: Profile; role: NewUser['role']; password: string; mustChange: boolean },
): Promise<UserRow> {
  const { keys, now } = context;
  const email = profile.email.normalize('NFC');
  const email_index = Buffer.from(keys.fields.emailIndex(email));
  if (await withEmail(trx, email_index))
    throw new ModelGuardError('ALREADY_EXISTS', 'There is an account with this e-mail address', {
      advice: 'Change that one (`model-guard users update`, `users reset-password`), or give another address.',
    });
  const [id, subject, created] = [newId(), newId(), now()];
  const wrapped = Buffer.from(keys.fields.newKey(subject));
  await trx.insertInto('subjects').values({ id: subject, wrapped, kind: 'user', day: null, created }).execute();
  const row = {
    id,
    subject,
    email_index,
    profile: sealProfile(context, { id, subject, wrapped }, { ...profile, email }),
    password,
    role,
    disabled: 0,
    must_change_password: mustChange ? 1 : 0,
    token_epoch: 0,
    created,
  };
  await trx.insertInto('users').values(row).execute();
  return { ...row, wrapped };
}

/** @throws ALREADY_EXISTS, PASSWORD_WEAK */
export const createUser = (context: Context, caller: Member, given: NewUser): Promise<Account> =>
  recordRefusals(context, { action: 'users.create', caller }, () => create(context, caller, given));

async function create(context: Context, caller: Member, given: NewUser): Promise<Account> {
  const { email, name, address, role, mustChange } = given;
  checkPassword(given.password, email, name);
  const password = await hashPassword(given.password);
  const row = await context.db.transaction().execute(async (trx) => {
    const made = await insertUser(context, trx, { profile: { email, name, address }, role, password, mustChange });
    const about = { resource: `account:${made.id}`, subject: made.subject, detail: `role ${role}` };
    await context.audit.append(trx, { action: 'users.create', outcome: 'success', caller, ...about });
    return made;
  });
  return accountOf(context, row);
}

/** @throws NOT_FOUND, NOT_AUTHORISED (of the last administrator), PASSWORD_WEAK */
export const updateUser = (context: Context, caller: Member, id: string, changes: Changes): Promise<Account> =>
  recordRefusals(context, { action: 'users.update', caller, resource: `account:${id}` }, () =>
    update(context, caller, id, changes),
  );

async function update(context: Context, caller: Member, id: string, changes: Changes): Promise<Account> {
  const before = await findUser(context.db, id);
  if (changes.password !== undefined) {
    const { email, name } = openProfile(context, before);
    checkPassword(changes.password, email, changes.name ?? name);
  }
  const password = changes.password === undefined ? undefined : await hashPassword(changes.password);
  const row = await context.db.transaction().execute(async (trx) => {
    // First: the caller may change its own account.
    await confirmRights(trx, caller);
    const now = await findUser(trx, id);
    const { name, address, ...profile } = openProfile(context, now);
    const changed = { ...profile, name: changes.name ?? name, address: changes.address ?? address };
    const disabled = changes.disabled ?? now.disabled === 1;
    const role = changes.role ?? now.role;
    if (disabled || role !== 'apiAdmin') await keepAnAdministrator(trx, id);
    const ends = password !== undefined || (disabled && now.disabled === 0);
    const values = {
      profile: sealProfile(context, now, changed),
      role,
      disabled: disabled ? 1 : 0,
      password: password ?? now.password,
      must_change_password: changes.mustChange === undefined ? now.must_change_password : Number(changes.mustChange),
      token_epoch: now.token_epoch + (ends ? 1 : 0),
    };
    await trx.updateTable('users').set(values).where('id', '=', id).execute();
    // An owner who was locked out can log in with the new password at once.
    if (password !== undefined) {
      await forgetAttempts(trx, now.email_index);
      await forgetFirstAccount(trx, id);
    }
    const about = { resource: `account:${id}`, subject: now.subject, detail: describe(changes) };
    await context.audit.append(trx, { action: 'users.update', outcome: 'success', caller, ...about });
    return { ...now, ...values };
  });
  if (password !== undefined) await afterCommit(() => removeFirstPassword(context));
  return accountOf(context, row);
}

const VALUES_TOLD: ReadonlySet<string> = new Set(['role', 'disabled', 'mustChange']);
/** The changed fields: role and states with their values, personal and secret ones without. */
const describe = (changes: Changes): string =>
  Object.entries(changes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => (VALUES_TOLD.has(name) ? `${name} ${value}` : name))
    .join(', ');

/**
 * Refuses a change after which no account could manage accounts.
 * @throws NOT_AUTHORISED where `id` is the last enabled apiAdmin
 */
export async function keepAnAdministrator(trx: Transaction<Schema>, id: string): Promise<void> {
  const admins = await trx
    .selectFrom('users')
    .select('id')
    .where('role', '=', 'apiAdmin')
    .where('disabled', '=', 0)
    .limit(2)
    .execute();
  if (admins.length === 1 && admins[0]?.id === id)
    throw new ModelGuardError('NOT_AUTHORISED', 'This is the last account that can manage accounts', {
      advice: 'Give another account the role apiAdmin first.',
    });
}
