/** Maps failures of S3 servers and the AWS SDK to this library's errors. Nothing of the SDK's request is kept: it holds keys. */
import { isError, isModelGuardError, ModelGuardError, type ModelGuardErrorCode, optionError } from '../../errors.js';
import { retryAfter } from '../../http/retry.js';
import { type RetryHint, retryHintOf, withRetryHint } from '../../http/retry-hints.js';

/** What the SDK's errors may have. */
interface StorageError {
  readonly name?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
  readonly $response?: { readonly statusCode?: number; readonly headers?: Readonly<Record<string, string>> };
}

interface StorageRequest {
  /** Begins a sentence: `The small part of net@1`. */
  readonly what: string;
  /** Whether it was to be written only where nothing was. */
  readonly ifAbsent?: boolean | undefined;
}

/** The facts of an S3 server's refusal, as the cause of the error that is made of it. */
export class S3Refusal extends Error {
  override readonly name = 'S3Refusal';
  readonly status: number;
  /** S3's error code, such as `NoSuchKey`; for an answer without one the SDK's own name. Absent where it is not one word. */
  readonly s3Code: string | undefined;
  readonly requestId: string | undefined;

  constructor(status: number, { name, $metadata }: StorageError) {
    const s3Code = typeof name === 'string' && /^\w{1,64}$/.test(name) ? name : undefined;
    const id = $metadata?.requestId;
    const requestId = id !== undefined && /^[\w-]{1,128}$/.test(id) ? id : undefined;
    super(`${status}${s3Code === undefined ? '' : ` ${s3Code}`}${requestId === undefined ? '' : `, request ${requestId}`}`);
    this.status = status;
    this.s3Code = s3Code;
    this.requestId = requestId;
  }
}

/** Of status 400: the connection was too slow for the server. */
const SLOW = new Set(['RequestTimeout', 'RequestTimeoutException']);
const FULL = new Set(['QuotaExceeded', 'XMinioStorageFull', 'InsufficientCapacity']);
const SKEWED = new Set(['RequestTimeTooSkewed', 'RequestExpired']);
const RIGHTS =
  'Check the keys and their rights. Without the right to list the bucket, a missing object is refused as a forbidden one is.';

/** Errors of ours pass, such as those of the network. */
export function s3Failure(error: unknown, asked: StorageRequest): ModelGuardError {
  if (isModelGuardError(error)) return error.code === 'RESPONSE_INVALID' ? misled(error) : error;
  const said: StorageError = typeof error === 'object' && error !== null ? error : {};
  const status = said.$metadata?.httpStatusCode ?? said.$response?.statusCode;
  return status === undefined ? unsent(error, said) : refused(status, said, asked);
}

function refused(status: number, said: StorageError, { what, ifAbsent }: StorageRequest): ModelGuardError {
  const cause = new S3Refusal(status, said);
  const { message: told, s3Code: name = '' } = cause;
  const failure = (code: ModelGuardErrorCode, message: string, advice?: string): ModelGuardError =>
    new ModelGuardError(code, message, { cause, advice });
  const after = retryAfter(said.$response?.headers?.['retry-after'], Date.now());
  const again = (effect: RetryHint['effect']) =>
    withRetryHint(failure('SERVER_FAILED', `The storage failed (${told})`, 'Try again later.'), { effect, after });

  if (SLOW.has(name)) return again('undone');
  if (FULL.has(name) || status === 507)
    return failure('NO_SPACE', `The storage is full (${told})`, 'Free space there, or raise the quota.');
  // The SDK corrects its clock by what the server said; the next request is signed with that.
  if (SKEWED.has(name))
    return withRetryHint(failure('CLOCK_SKEWED', `The storage's clock is another (${told})`, "Set this machine's clock."), {
      effect: 'undone',
    });
  if (name === 'NoSuchBucket')
    return failure(
      'NOT_FOUND',
      `The bucket is not there (${told})`,
      'Check its name, its region and the endpoint, or make it first.',
    );
  if (status === 404) return failure('NOT_FOUND', `${what} is not there (${told})`);
  if (status === 401 || status === 403) return failure('PERMISSION_DENIED', `${what}: the storage refuses it (${told})`, RIGHTS);
  if (ifAbsent && (status === 412 || status === 409)) {
    const there = failure('ALREADY_EXISTS', `${what} is there already (${told})`);
    // 409: another writer is at it, and may yet fail.
    return status === 409 ? withRetryHint(there, { effect: 'undone' }) : there;
  }
  if (status === 429 || status === 503) return again('undone');
  if (status === 501) return failure('SERVER_FAILED', `The storage cannot do what is asked (${told})`, ELSEWHERE);
  if (status >= 500) return again('unknown');
  if (status === 412) return failure('RESPONSE_INVALID', `${what} changed while it was read (${told})`, ELSEWHERE);
  return failure('RESPONSE_INVALID', `${what}: the storage answers with ${told}`, ELSEWHERE);
}

const ELSEWHERE = 'Check bucket, region and endpoint.';

/** A redirect, for one: the bucket is in another region. */
function misled(error: ModelGuardError): ModelGuardError {
  const told = new ModelGuardError('RESPONSE_INVALID', 'The storage does not answer as an S3 server does for this bucket', {
    cause: error,
    advice: ELSEWHERE,
  });
  const hint = retryHintOf(error);
  return hint ? withRetryHint(told, hint) : told;
}

/** Nothing was sent, or what came was nothing that the SDK understands. */
function unsent(error: unknown, { name }: StorageError): ModelGuardError {
  if (name === 'CredentialsProviderError')
    return new ModelGuardError('PERMISSION_DENIED', 'There are no keys for the bucket', {
      cause: error,
      advice:
        'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the AWS SDK a profile or a role. A program may give keys itself.',
    });
  if (isError(error) && /region is missing/i.test(error.message))
    return optionError('INVALID_ARGUMENT', 'options.region', 'is required, because nothing else says it');
  return new ModelGuardError('IO_FAILED', 'The S3 client failed', { cause: error });
}
