/** Answers by something between the client and the server, such as a proxy, a gateway, or the log-in page of a network. */
import { ErrorFact } from '../../base/error-fact.js';
import { hasCode, type ModelGuardError } from '../../errors.js';
import { withRetryHint } from '../../http/retry-hints.js';

/** The origin of the answer that an error is made from. */
export const answeredBy = new ErrorFact<'server' | 'intermediary'>('answered by');

/** Something else answered in the server's place: whether the server is there is not known. */
export const isForeign = (error: unknown): boolean => answeredBy.get(error) === 'intermediary';

/** Notes that `error` is no answer of the server. Asking again may help, unless the request is too long for what stands between. */
export function byIntermediary(error: ModelGuardError): ModelGuardError {
  answeredBy.set(error, 'intermediary');
  return error.code === 'LIMIT_EXCEEDED' ? error : withRetryHint(error, { effect: 'unknown' });
}

/** Runs `task`; its RESPONSE_INVALID is that of an answer which has not the contract's shape. */
export async function fromServer<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw hasCode(error, 'RESPONSE_INVALID') ? byIntermediary(error) : error;
  }
}
