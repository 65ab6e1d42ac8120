/** What the network and TLS say, as errors of ours. */
import { codeOf, isModelGuardError, ModelGuardError } from '../errors.js';
import { hinted } from './hints.js';

/** Before any byte was sent: whatever was asked for was not done. */
const NOT_CONNECTED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);
/** What breaks off in the middle, too. Anything else, such as a certificate that is refused, stays as it is. */
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'ENETDOWN', 'EHOSTDOWN', 'ENETRESET']);

/** What the network or TLS says; errors of ours pass. */
export function unreachable(cause: unknown, where: string): ModelGuardError {
  if (isModelGuardError(cause)) return cause;
  const code = codeOf(cause);
  const error = new ModelGuardError('SERVER_UNREACHABLE', `${where} was not reached${code ? ` (${code})` : ''}`, { cause });
  if (code && NOT_CONNECTED.has(code)) return hinted(error, { effect: 'undone' });
  return code && BROKEN.has(code) ? hinted(error, { effect: 'unknown' }) : error;
}
