/** Accounts: made, listed, changed. */
import { randomBytes } from 'node:crypto';
import { ModelGuardError, type RouteInput } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import { recordingRefusals } from '../audit/refused.js';
import type { Connection, Context, Member } from '../context.js';
import { afterCommit } from '../database/away.js';
import { datedCursor, datedPage, type Page, type PageQuery, pageOf } from '../database/paging.js';
import type { Schema } from '../database/schema.js';
import { forgetAttempts } from './admission.js';
import { forgetFirstAccount, removeFirstPassword } from './first-start.js';
import { checkPassword, hashPassword } from './passwords.js';
import { type Account, accountOf, openProfile, type Profile, sealProfile, type UserRow, users } from './profiles.js';
import { confirmRights } from './rights.js';

const newId = (): string => randomBytes(16).toString('hex');
type NewUser = RouteInput<'createUser'>['body'];
type Changes = RouteInput<'updateUser'>['body'];

/** @throws NOT_FOUND */
export async function findUser(connection: Connection, id: string): Promise<UserRow> {
  const row = await users(connection).where('users.id', '=', id).executeTakeFirst();
  if (!row) throw new ModelGuardError('NOT_FOUND', `There is no account ${id}`);
  return row;
}

/** Accounts by age. */
export async function listUsers(context: Context, page: PageQuery): Promise<Page<Account>> {
  const rows = await datedPage(users(context.db), 'users', page).execute();
  return pageOf(rows, page.limit, datedCursor, (row) => accountOf(context, row));
}

/** The rows of a new account; its password is hashed already. ALREADY_EXISTS */
export async function insertUser(
  context: Pick<Context, 'keys' | 'now'>,
  trx: Transaction<Schema>,
  { profile, role, password, mustChange }: { profile: Profile; role: NewUser['role']; password: string; mustChange: boolean },
): Promise<UserRow> {
  const { keys, now } = context;
  const email = profile.email.normalize('NFC');
  const email_index = Buffer.from(keys.fields.emailIndex(email));
  const taken = await trx.selectFrom('users').select('id').where('email_index', '=', email_index).executeTakeFirst();
  if (taken) throw new ModelGuardError('ALREADY_EXISTS', 'There is an account with this e-mail address');
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
  recordingRefusals(context, { action: 'users.create', caller }, () => create(context, caller, given));

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
  recordingRefusals(context, { action: 'users.update', caller, resource: `account:${id}` }, () =>
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
    // First: it may be the caller's own account.
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
    // An owner who was locked out gets in with the password that an administrator has just set.
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
/** What was changed: of a role and a state the value, of what is personal or secret only that. */
const describe = (changes: Changes): string =>
  Object.entries(changes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => (VALUES_TOLD.has(name) ? `${name} ${value}` : name))
    .join(', ');

/**
 * Refuses what would leave nobody who can manage accounts.
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
