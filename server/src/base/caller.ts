/** The caller of a request: account, rights and network address. */
import { ModelGuardError, type Permission, type Role } from '@org/model-guard/server-kit';

/** The rights by which a request was admitted. They may end before the request does, so a change reads them again (`accounts/rights.ts`). */
export interface Rights {
  /** Of the account when its token was made; undefined where authentication is off. */
  readonly epoch: number | undefined;
  /** Of the account when its token was made; undefined where authentication is off. No decision depends on it. */
  readonly tokenRole?: string | undefined;
  /** The permission that the route demands. */
  readonly access: Permission;
  /** Set once a change of this request has read the rights again. */
  confirmed?: boolean;
}

/** The caller of a request. */
export interface Caller {
  /** Absent before log-in. */
  readonly account?: { readonly id: string; readonly subject: string; readonly role: Role } | undefined;
  /** Absent where no account is needed: before log-in, and of the server itself. */
  readonly rights?: Rights | undefined;
  /** The network address, anonymised by the policy of the configuration. */
  readonly address: string;
  /** The network by which requests are counted (`networkOf`), whatever the policy. It is never stored. Absent for the server itself. */
  readonly network?: string | undefined;
  readonly request: string;
}

/** A caller with an account. */
export type Member = Caller & { readonly account: NonNullable<Caller['account']> };

/** The caller as a member. Routes with a permission admit no other. NOT_AUTHENTICATED */
export function memberOf({ account, ...caller }: Caller): Member {
  if (!account) throw new ModelGuardError('NOT_AUTHENTICATED', 'This needs an account');
  return { ...caller, account };
}
