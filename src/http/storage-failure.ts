/** Maps failures of a web server, a CDN or an object store to this library's errors. Their bodies are not read. */
import { ModelGuardError } from '../errors.js';
import { isPage } from './pages.js';
import type { HttpResponse } from './response.js';
import { retryAfter } from './retry.js';
import { withRetryHint } from './retry-hints.js';

/** Asking again may help: the storage is busy, or it was a proxy that answered (407, 421). */
const PASSING = new Set([407, 408, 421, 425, 429]);

export const mayPass = (status: number): boolean => status >= 500 || PASSING.has(status);

/**
 * The error of an answer that is not a success: NOT_FOUND, PERMISSION_DENIED, SERVER_FAILED, RESPONSE_INVALID. Lets go of its body.
 * @param what What was asked for, as it begins a sentence (`The big part`); no address, which may hold a signature.
 * @param now Milliseconds since 1970.
 * @param ownPages Whether the storage may answer with pages for people, as web servers do. Otherwise a page is a proxy's, and may pass.
 */
export function storageFailure(
  answer: Pick<HttpResponse, 'status' | 'headers' | 'discard'>,
  what: string,
  now: number,
  ownPages = true,
): ModelGuardError {
  const { status, headers } = answer;
  answer.discard();
  const error = failureOf(status, what);
  if (!mayPass(status) && (ownPages || !isPage(answer))) return error;
  return withRetryHint(error, { effect: 'undone', after: retryAfter(headers['retry-after'], now) });
}

function failureOf(status: number, what: string): ModelGuardError {
  if (status === 404 || status === 410) return new ModelGuardError('NOT_FOUND', `${what} is not there (status ${status})`);
  if (status === 401 || status === 403)
    return new ModelGuardError('PERMISSION_DENIED', `${what} is not given out by the storage (status ${status})`, {
      advice: "Check the rights at the storage, that the address has not ended, and this machine's clock.",
    });
  if (mayPass(status))
    return new ModelGuardError('SERVER_FAILED', `The storage failed with status ${status}`, { advice: 'Try again later.' });
  return new ModelGuardError('RESPONSE_INVALID', `${what} cannot be read: the storage answers with status ${status}`, {
    advice: 'Check the address of the storage, and what stands before it.',
  });
}
