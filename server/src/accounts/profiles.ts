/** Accounts as the contract shows them. Personal data is boxed under the account's subject. */
import { type RouteAnswer, unhex } from '@org/model-guard/server-kit';
import type { Selectable } from 'kysely';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import type { UserTable } from '../database/schema.js';

export type Account = RouteAnswer<'account'>;
/** The boxed data of an account. */
export interface Profile {
  readonly email: string;
  readonly name?: string | undefined;
  readonly address?: string | undefined;
}
/** An account's row with the key of its subject. */
export type UserRow = Selectable<UserTable> & { readonly wrapped: Buffer };

/** Accounts, each with the key of its subject. */
export const users = (connection: Connection) =>
  connection
    .selectFrom('users')
    .innerJoin('subjects', 'subjects.id', 'users.subject')
    .selectAll('users')
    .select('subjects.wrapped');

export const openProfile = ({ keys }: Pick<Context, 'keys'>, { id, subject, wrapped, profile }: UserRow): Profile =>
  keys.fields.open(wrapped, subject, unhex(id), profile) as Profile;

export const sealProfile = (
  { keys }: Pick<Context, 'keys'>,
  { id, subject, wrapped }: { readonly id: string; readonly subject: string; readonly wrapped: Uint8Array },
  profile: Profile,
): Buffer => Buffer.from(keys.fields.seal(wrapped, subject, unhex(id), profile));

/** The account as the contract shows it. */
export function accountOf(context: Pick<Context, 'keys'>, row: UserRow): Account {
  const { email, name, address } = openProfile(context, row);
  return {
    id: row.id,
    email,
    ...(name !== undefined && { name }),
    ...(address !== undefined && { address }),
    role: row.role,
    disabled: row.disabled === 1,
    mustChangePassword: row.must_change_password === 1,
    created: row.created,
  };
}

/** The e-mail addresses of accounts, by id; with `subject`, only of the account of that subject. Erased accounts have none. */
export async function findEmails(
  context: Pick<Context, 'db' | 'keys'>,
  accounts: readonly string[],
  subject?: string,
): Promise<ReadonlyMap<string, string>> {
  let query = users(context.db).where('users.id', 'in', accounts);
  if (subject !== undefined) query = query.where('users.subject', '=', subject);
  return new Map((await query.execute()).map((row) => [row.id, openProfile(context, row).email]));
}
