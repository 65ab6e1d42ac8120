/** Accounts by the name that people have for them. */
import { shapes } from '../contract/index.js';
import { hasCode, ModelGuardError, optionError } from '../errors.js';
import type { GuardServer } from '../remote/guard-server.js';

const plain = (email: string): string => email.normalize('NFKC').toLowerCase();

/**
 * The id of an account that was given by its id or its e-mail address.
 * @throws NOT_FOUND; NOT_AUTHORISED where this account may not read addresses
 */
export async function accountIdOf(guard: GuardServer, given: string, options: { readonly signal: AbortSignal }): Promise<string> {
  if (shapes.id.safeParse(given).success) return given;
  if (!given.includes('@'))
    throw optionError('INVALID_ARGUMENT', 'account', 'is neither an id of 32 hex digits nor an e-mail address');
  try {
    for await (const { id, email } of guard.users.list(options)) if (plain(email) === plain(given)) return id;
  } catch (error) {
    if (!hasCode(error, 'NOT_AUTHORISED')) throw error;
    throw new ModelGuardError('NOT_AUTHORISED', 'Only the role apiAdmin may look accounts up by their e-mail addresses', {
      cause: error,
      advice: `Give the id of ${given} instead: its owner sees it with \`model-guard login --json\`.`,
    });
  }
  throw new ModelGuardError('NOT_FOUND', `No account has the e-mail address ${given}`, {
    advice: '`model-guard users list` shows all of them.',
  });
}
