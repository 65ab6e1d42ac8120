/** Maps a server's error answers to this library's errors. */
import { ErrorFact } from '../../base/error-fact.js';
import { codesOf, shapes } from '../../contract/index.js';
import { ERROR_CODES, hasCode, ModelGuardError, type ModelGuardErrorCode, optionError } from '../../errors.js';
import type { HttpResponse } from '../../http/response.js';
import { retryAfter } from '../../http/retry.js';
import { withRetryHint } from '../../http/retry-hints.js';
import { answeredBy, byIntermediary } from './intermediary.js';

const MAX_FAILURE = 64 * 1024;
const MAX_TEXT = 500;

/** Proxies have limits too. Asking again does not shorten the request. */
const TOO_LONG = new Set([413, 414]);
/** The server, or what stands before it, is not there at the moment. */
const AWAY = new Set([502, 503, 504]);

const missingPermission = new ErrorFact<true>('missing permission');

/** The server refuses the account and not the token: another log-in changes nothing. */
export const isMissingPermission = (error: unknown): boolean => missingPermission.get(error) === true;

/**
 * The error is the server's own answer, in the contract's shape and with a code of it. Proxies answer with the same statuses, and files and
 * callbacks of this machine fail with some of the same codes.
 */
export const isAnswer = (error: unknown): boolean => answeredBy.get(error) === 'server';

/** A refusal of an account whose password must be changed before anything else: another role would not help. */
export function passwordFirst(refusal: ModelGuardError): ModelGuardError {
  const error = new ModelGuardError(
    'NOT_AUTHORISED',
    'The password of this account was set by another person and must be changed first',
    {
      cause: refusal,
      advice: 'Change it: `model-guard password --current FILE --new FILE`.',
    },
  );
  return answeredBy.set(error, 'server');
}

/** The error of an answer that is not a success. Reads its body. */
export async function failureOf(
  answer: Pick<HttpResponse, 'status' | 'headers' | 'bytes'>,
  now: number,
): Promise<ModelGuardError> {
  const { status, headers } = answer;
  const after = retryAfter(headers['retry-after'], now);
  const said = await detailsOf(answer);
  if (status === 429) return withRetryHint(tooMany(after), { effect: 'undone', after });
  if (status >= 500) {
    const error = new ModelGuardError('SERVER_FAILED', `The server failed with status ${status}${requestOf(said)}`);
    if (said && status === 503 && after !== undefined) return withRetryHint(error, { effect: 'undone', after });
    return AWAY.has(status) || !said ? withRetryHint(error, { effect: 'unknown', after }) : error;
  }
  const codes = codesOf(status);
  if (!said || !codes[0]) return withoutReason(status);
  // A server is not to say what only the client can know (TIMED_OUT, ABORT_ERR, …), so that an unknown code is not the server's answer.
  const known = codes.find((code) => code === said.code);
  const code = known ?? codes[0];
  const error = refusalOf(said, code, status === 413 ? TOO_MUCH : undefined);
  if (!known) return byIntermediary(error);
  // RFC 6750, section 3.1.
  if (status === 403 && headers['www-authenticate']?.includes('error="insufficient_scope"')) missingPermission.set(error, true);
  return answeredBy.set(error, 'server');
}

function withoutReason(status: number): ModelGuardError {
  if (TOO_LONG.has(status))
    return byIntermediary(
      new ModelGuardError('LIMIT_EXCEEDED', `A proxy refuses the request as too long (status ${status})`, {
        advice: 'Have the administrator of the proxy allow longer requests.',
      }),
    );
  return byIntermediary(
    new ModelGuardError('RESPONSE_INVALID', `Something else than the guard server answers, with status ${status}`),
  );
}

interface FailureBody {
  readonly code: string;
  readonly message: string;
  readonly path?: string | undefined;
  readonly request: string;
}

/** Undefined where the answer has another shape than the server's. */
async function detailsOf(answer: Pick<HttpResponse, 'headers' | 'bytes'>): Promise<FailureBody | undefined> {
  let body: Uint8Array;
  try {
    body = await answer.bytes(MAX_FAILURE);
  } catch (error) {
    // A page that is longer than any failure: the status says enough.
    if (hasCode(error, 'RESPONSE_INVALID')) return undefined;
    throw error;
  }
  if (!isJson(answer)) return undefined;
  try {
    return shapes.failure.parse(JSON.parse(Buffer.from(body).toString('utf8'))).error;
  } catch {
    return undefined;
  }
}

export const isJson = ({ headers }: Pick<HttpResponse, 'headers'>): boolean =>
  /^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '');

const TOO_MUCH = 'Send less, or have the administrator of the server raise its limits (docs/deployment.md).';

/**
 * The server's refusal, as an error. The sentences of its message after the first are its own advice, which is more specific than the
 * general one of the code and replaces it. A message without any has the advice `otherwise`, or else the general one.
 */
function refusalOf(said: FailureBody, code: ModelGuardErrorCode, otherwise: string | undefined): ModelGuardError {
  const text = textOf(said.message, code);
  const [, first = text, own] = /^(.+?)\. (\p{Lu}.*)$/u.exec(text) ?? [];
  const advice = own === undefined ? otherwise : `${own}.`;
  const path = said.path === undefined ? '' : cleaned(said.path);
  // The server's sentence begins with the field too.
  const what = `${first.startsWith(`${path} `) ? first.slice(path.length + 1) : first}${requestOf(said)}`;
  return path === '' ? new ModelGuardError(code, what, { advice }) : optionError(code, path, what, { advice });
}

/** Without the general advice of `code`, which is ours to give. */
function textOf(message: string, code: ModelGuardErrorCode): string {
  const { advice } = ERROR_CODES[code];
  const own = message.endsWith(advice) ? message.slice(0, -advice.length) : message;
  return cleaned(own).replace(/[.\s]+$/, '') || 'The server refuses the request';
}

/** One short line without control characters: it ends on terminals. */
const cleaned = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .slice(0, MAX_TEXT);

const tooMany = (after: number | undefined): ModelGuardError =>
  new ModelGuardError(
    'RATE_LIMITED',
    after === undefined ? 'The server wants fewer requests' : `The server wants a pause of ${Math.ceil(after / 1000)} s`,
  );

const requestOf = (said: FailureBody | undefined): string =>
  said && /^[\w-]{1,64}$/.test(said.request) ? ` (request ${said.request})` : '';
