import { ModelGuardError } from '@org/model-guard/server-kit';
import type { Caller, Member } from '../context.js';

/** The caller, who has logged in: routes with a permission let nobody else through. */
export function memberOf({ account, ...caller }: Caller): Member {
  if (!account) throw new ModelGuardError('NOT_AUTHENTICATED', 'This needs an account');
  return { ...caller, account };
}
