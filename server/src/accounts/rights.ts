/** Reads the current rights of an account: when a request arrives, and again in the transaction of its change. */
import { ModelGuardError, type Permission, permits, ROLES, type Role } from '@org/model-guard/server-kit';
import type { Caller, Rights } from '../base/caller.js';
import type { Connection } from '../database/connection.js';

/** An account that may use the server. */
export interface Account {
  readonly id: string;
  readonly subject: string;
  readonly role: Role;
  /** Until the password is changed, the account may do nothing else. */
  readonly mustChange: boolean;
}
/** An account, or the reason why its tokens are refused. */
type CurrentRights = { readonly account: Account; readonly refused?: undefined } | { readonly refused: string };

/** @param epoch Of the token; undefined where authentication is off. */
export async function findAccount(connection: Connection, id: string, epoch: number | undefined): Promise<CurrentRights> {
  const user = await connection
    .selectFrom('users')
    .select(['id', 'subject', 'role', 'disabled', 'must_change_password', 'token_epoch'])
    .where('id', '=', id)
    .executeTakeFirst();
  if (!user) return { refused: 'its account does not exist' };
  if (user.disabled === 1) return { refused: 'its account is disabled' };
  if (epoch !== undefined && user.token_epoch !== epoch) return { refused: 'the password was changed since' };
  const mustChange = epoch !== undefined && user.must_change_password === 1;
  return { account: { id: user.id, subject: user.subject, role: user.role, mustChange } };
}

/** The error for every token that is not valid, or not any more. */
export const tokenRefused = (): ModelGuardError =>
  new ModelGuardError('NOT_AUTHENTICATED', 'The token is not valid', { advice: 'Log in again.' });

/** @throws NOT_AUTHORISED */
export function demandAccess({ role, mustChange }: Account, access: Permission): void {
  if (mustChange && access !== 'account.self')
    throw new ModelGuardError('NOT_AUTHORISED', 'The password must be changed first', {
      advice: 'Change it: `model-guard password --current FILE --new FILE`, or POST /account/password.',
    });
  if (!permits(role, access))
    throw new ModelGuardError('NOT_AUTHORISED', `The role ${role} does not have the permission ${access}`, {
      advice: `Have an administrator give this account a role that has it: ${ROLES.filter((one) => permits(one, access)).join(', ')}.`,
    });
}

/**
 * The caller with its current role. Log-ins and the server itself have no rights that could end.
 * @throws NOT_AUTHENTICATED, NOT_AUTHORISED
 */
export async function readRights<Asking extends Caller>(connection: Connection, caller: Asking): Promise<Asking> {
  const { account, rights } = caller;
  if (!account || !rights) return caller;
  const now = await findAccount(connection, account.id, rights.epoch);
  if (now.refused !== undefined) throw tokenRefused();
  demandAccess(now.account, rights.access);
  const { id, subject, role } = now.account;
  return { ...caller, account: { id, subject, role } };
}

const ofTransaction = new WeakMap<Connection, { readonly rights: Rights; readonly caller: Caller }>();

/**
 * {@link readRights} once in the transaction of a change; later statements of it may take the caller's own rights away. The audit
 * log does this for every change that it records. A change that depends on the role does it first, and uses the role of the
 * result.
 * @throws NOT_AUTHENTICATED, NOT_AUTHORISED
 */
export async function confirmRights<Asking extends Caller>(connection: Connection, caller: Asking): Promise<Asking> {
  const { rights } = caller;
  if (!rights) return caller;
  const known = ofTransaction.get(connection);
  if (known?.rights === rights) return { ...caller, account: known.caller.account };
  const now = await readRights(connection, caller);
  if (connection.isTransaction) ofTransaction.set(connection, { rights, caller: now });
  rights.confirmed = true;
  return now;
}
