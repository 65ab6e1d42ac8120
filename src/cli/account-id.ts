/** Finds accounts by e-mail address. */
import { shapes } from '../contract/index.js';
import { hasCode, ModelGuardError, optionError } from '../errors.js';
import type { GuardServer } from '../index.js';

/**
 * The id of an account that was given by its id or its e-mail address.
 * @throws NOT_FOUND
 */
export async function accountIdOf(guard: GuardServer, given: string, options: { readonly signal: AbortSignal }): Promise<string> {
  if (shapes.id.safeParse(given).success) return given;
  if (!shapes.email.safeParse(given).success)
    throw optionError('INVALID_ARGUMENT', 'account', 'is neither an id of 32 hex digits nor an e-mail address');
  try {
    return await guard.users.find(given, options);
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
    throw new ModelGuardError('NOT_FOUND', `No account has the e-mail address ${given}`, {
      cause: error,
      advice: 'An account with the role apiAdmin lists all of them: `model-guard users list`.',
    });
  }
}
