/** What a server says went wrong, as errors of ours. */
import { shapes } from '../../contract/index.js';
import { ERROR_CODES, hasCode, isError, ModelGuardError, type ModelGuardErrorCode } from '../../errors.js';
import type { Answer } from '../../http/answer.js';
import { hinted } from '../../http/hints.js';
import { retryAfter } from '../../http/pace.js';

const MAX_FAILURE = 64 * 1024;
const MAX_TEXT = 500;

/**
 * The codes that a status may carry: a server is not to say what only this side can know (TIMED_OUT, ABORT_ERR, …). The first is what
 * an unknown code of that status becomes.
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
/** What proxies answer too, with bodies of their own. */
const PLAIN = new Set([413, 414, 429]);
/** The server, or what stands before it, is not there at the moment. */
const AWAY = new Set([502, 503, 504]);

const answers = new WeakSet<object>();
const permanent = new WeakSet<object>();

/** Whether the server refuses the account and not the token: another log-in changes nothing. */
export const isMissingPermission = (error: unknown): boolean => isError(error) && permanent.has(error);

/** Whether a server said so: files and callbacks of this machine fail with some of the same codes. */
export const isAnswer = (error: unknown): boolean => isError(error) && answers.has(error);

/** The error of an answer that is not a success. Reads its body. */
export async function failureOf(answer: Answer, now: number): Promise<ModelGuardError> {
  const { status, headers } = answer;
  const after = retryAfter(headers['retry-after'], now);
  const said = await detailsOf(answer);
  if (status === 429) return hinted(tooMany(after), { effect: 'undone', after });
  if (status >= 500) {
    const error = new ModelGuardError('SERVER_FAILED', `The server failed with status ${status}${requestOf(said)}`);
    if (status === 503 && after !== undefined) return hinted(error, { effect: 'undone', after });
    return AWAY.has(status) ? hinted(error, { effect: 'unknown', after }) : error;
  }
  const [general, ...others] = CODES[status] ?? [];
  if (general === undefined || (said === undefined && !PLAIN.has(status)))
    return new ModelGuardError('RESPONSE_INVALID', `The server answers with status ${status} and no reason that is known`);
  if (said === undefined) return new ModelGuardError(general, `The server refuses the request (status ${status})`);
  const code = others.find((one) => one === said.code) ?? general;
  const error = new ModelGuardError(code, `${textOf(said, code)}${requestOf(said)}`);
  answers.add(error);
  // RFC 6750, section 3.1.
  if (status === 403 && headers['www-authenticate']?.includes('error="insufficient_scope"')) permanent.add(error);
  return error;
}

interface Said {
  readonly code: string;
  readonly message: string;
  readonly path?: string | undefined;
  readonly request: string;
}

async function detailsOf(answer: Answer): Promise<Said | undefined> {
  let body: Uint8Array;
  try {
    body = await answer.bytes(MAX_FAILURE);
  } catch (error) {
    // The page of a proxy: the status says enough.
    if (hasCode(error, 'RESPONSE_INVALID')) return undefined;
    throw error;
  }
  try {
    return shapes.failure.parse(JSON.parse(Buffer.from(body).toString('utf8'))).error;
  } catch {
    return undefined;
  }
}

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
