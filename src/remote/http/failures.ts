/** What a server says went wrong, as errors of ours. */
import { shapes } from '../../contract/index.js';
import { ERROR_CODES, hasCode, isError, ModelGuardError, type ModelGuardErrorCode } from '../../errors.js';
import type { Answer } from '../../http/answer.js';
import { hinted } from '../../http/hints.js';
import { retryAfter } from '../../http/pace.js';
import { byIntermediary } from './intermediary.js';

const MAX_FAILURE = 64 * 1024;
const MAX_TEXT = 500;

/**
 * The codes that a status may carry: a server is not to say what only this side can know (TIMED_OUT, ABORT_ERR, …). An unknown code becomes
 * the first one, and does not count as the server's answer.
 */
const CODES: Readonly<Record<number, readonly ModelGuardErrorCode[]>> = {
  400: [
    'INVALID_ARGUMENT',
    'NAME_INVALID',
    'PASSWORD_WEAK',
    'KEY_INVALID',
    'KEY_TYPE_WRONG',
    'NOT_A_CONTAINER',
    'CONTAINER_TRUNCATED',
    'CONTAINER_MALFORMED',
    'VERSION_UNSUPPORTED',
    'CRITICAL_UNSUPPORTED',
    'MANIFEST_INVALID',
    'LIMIT_EXCEEDED',
  ],
  401: ['NOT_AUTHENTICATED'],
  403: ['NOT_AUTHORISED', 'DEVICE_NOT_APPROVED', 'DEVICE_REVOKED', 'PROOF_INVALID'],
  404: ['NOT_FOUND'],
  409: [
    'ALREADY_EXISTS',
    'SEATS_TAKEN',
    'NOT_RELEASED',
    'ROLLBACK_REFUSED',
    'AUDIT_LOG_ROLLED_BACK',
    'REVIEW_OUTDATED',
    'REFERENCE_MISMATCH',
    'PARTS_MISMATCH',
    'SIGNATURE_MISSING',
    'SIGNATURE_INVALID',
    'DIGEST_MISMATCH',
    'INTEGRITY_FAILED',
    'NO_MATCHING_IDENTITY',
  ],
  413: ['LIMIT_EXCEEDED'],
  414: ['LIMIT_EXCEEDED'],
  429: ['RATE_LIMITED'],
};
/** Proxies have limits too. Asking again does not shorten the request. */
const TOO_LONG = new Set([413, 414]);
/** The server, or what stands before it, is not there at the moment. */
const AWAY = new Set([502, 503, 504]);

const answers = new WeakSet<object>();
const permanent = new WeakSet<object>();

/** Whether the server refuses the account and not the token: another log-in changes nothing. */
export const isMissingPermission = (error: unknown): boolean => isError(error) && permanent.has(error);

/**
 * Whether the server said so, in the contract's shape and with a code of it. Proxies answer with the same statuses, and files and callbacks of
 * this machine fail with some of the same codes.
 */
export const isAnswer = (error: unknown): boolean => isError(error) && answers.has(error);

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
  answers.add(error);
  return error;
}

/** The error of an answer that is not a success. Reads its body. */
export async function failureOf(answer: Pick<Answer, 'status' | 'headers' | 'bytes'>, now: number): Promise<ModelGuardError> {
  const { status, headers } = answer;
  const after = retryAfter(headers['retry-after'], now);
  const said = await detailsOf(answer);
  if (status === 429) return hinted(tooMany(after), { effect: 'undone', after });
  if (status >= 500) {
    const error = new ModelGuardError('SERVER_FAILED', `The server failed with status ${status}${requestOf(said)}`);
    if (said && status === 503 && after !== undefined) return hinted(error, { effect: 'undone', after });
    return AWAY.has(status) || !said ? hinted(error, { effect: 'unknown', after }) : error;
  }
  const codes = CODES[status];
  if (!said || !codes?.[0]) return withoutReason(status);
  const known = codes.find((code) => code === said.code);
  const code = known ?? codes[0];
  const advice =
    status === 413 ? 'Send less, or have the administrator of the server raise its limits (docs/deployment.md).' : undefined;
  const error = new ModelGuardError(code, `${textOf(said, code)}${requestOf(said)}`, { advice });
  if (!known) return byIntermediary(error);
  answers.add(error);
  // RFC 6750, section 3.1.
  if (status === 403 && headers['www-authenticate']?.includes('error="insufficient_scope"')) permanent.add(error);
  return error;
}

function withoutReason(status: number): ModelGuardError {
  if (TOO_LONG.has(status))
    return byIntermediary(new ModelGuardError('LIMIT_EXCEEDED', `A proxy refuses the request as too long (status ${status})`));
  return byIntermediary(
    new ModelGuardError('RESPONSE_INVALID', `Something else than the guard server answers, with status ${status}`),
  );
}

interface Said {
  readonly code: string;
  readonly message: string;
  readonly path?: string | undefined;
  readonly request: string;
}

/** Undefined where the answer has another shape than the server's. */
async function detailsOf(answer: Pick<Answer, 'headers' | 'bytes'>): Promise<Said | undefined> {
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

export const isJson = ({ headers }: Pick<Answer, 'headers'>): boolean =>
  /^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '');

/** One line without control characters: it ends on terminals. The advice is ours to give. */
function textOf({ message, path }: Said, code: ModelGuardErrorCode): string {
  const { advice } = ERROR_CODES[code];
  const own = message.endsWith(advice) ? message.slice(0, -advice.length) : message;
  const line = `${path === undefined ? '' : `${path}: `}${own}`.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return line.slice(0, MAX_TEXT).replace(/[.\s]+$/, '') || 'The server refuses the request';
}

const tooMany = (after: number | undefined): ModelGuardError =>
  new ModelGuardError(
    'RATE_LIMITED',
    after === undefined ? 'The server wants fewer requests' : `The server wants a pause of ${Math.ceil(after / 1000)} s`,
  );

const requestOf = (said: Said | undefined): string =>
  said && /^[\w-]{1,64}$/.test(said.request) ? ` (request ${said.request})` : '';
