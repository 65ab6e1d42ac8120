/** What an S3 server and its SDK say went wrong, as errors of ours. Nothing that the SDK noted about a request gets out: it holds keys. */
import { isError, isModelGuardError, ModelGuardError, optionError } from '../../errors.js';
import { type Hint, hinted, hintOf } from '../../http/hints.js';
import { retryAfter } from '../../http/pace.js';

/** What the SDK's errors may have. */
interface Said {
  readonly name?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
  readonly $response?: { readonly statusCode?: number; readonly headers?: Readonly<Record<string, string>> };
}

interface Asked {
  /** Begins a sentence: `The small part of net@1`. */
  readonly what: string;
  /** Whether it was to be written only where nothing was. */
  readonly ifAbsent?: boolean | undefined;
}

/** Of status 400: the connection was too slow for the server. */
const SLOW = new Set(['RequestTimeout', 'RequestTimeoutException']);
const FULL = new Set(['QuotaExceeded', 'XMinioStorageFull', 'InsufficientCapacity']);
const SKEWED = new Set(['RequestTimeTooSkewed', 'RequestExpired']);
const RIGHTS =
  'Check the keys and their rights. Whoever may not list the bucket is refused what is missing, too, as if it were forbidden.';

/** Errors of ours pass, such as those of the network. */
export function s3Failure(error: unknown, asked: Asked): ModelGuardError {
  if (isModelGuardError(error)) return error.code === 'RESPONSE_INVALID' ? misled(error) : error;
  const said: Said = typeof error === 'object' && error !== null ? error : {};
  const status = said.$metadata?.httpStatusCode ?? said.$response?.statusCode;
  return status === undefined ? unsent(error, said) : refused(status, said, asked);
}

function refused(status: number, said: Said, { what, ifAbsent }: Asked): ModelGuardError {
  const name = typeof said.name === 'string' && /^\w{1,64}$/.test(said.name) ? said.name : '';
  const told = `${status}${name && ` ${name}`}${requestOf(said)}`;
  const after = retryAfter(said.$response?.headers?.['retry-after'], Date.now());
  const again = (effect: Hint['effect']) =>
    hinted(new ModelGuardError('SERVER_FAILED', `The storage failed (${told})`, { advice: 'Try again later.' }), {
      effect,
      after,
    });

  if (SLOW.has(name)) return again('undone');
  if (FULL.has(name) || status === 507)
    return new ModelGuardError('NO_SPACE', `The storage is full (${told})`, { advice: 'Free space there, or raise the quota.' });
  // The SDK corrects its clock by what the server said; the next request is signed with that.
  if (SKEWED.has(name))
    return hinted(
      new ModelGuardError('CLOCK_SKEWED', `The storage's clock is another (${told})`, { advice: "Set this machine's clock." }),
      {
        effect: 'undone',
      },
    );
  if (status === 404) return new ModelGuardError('NOT_FOUND', `${what} is not there (${told})`);
  if (status === 401 || status === 403)
    return new ModelGuardError('PERMISSION_DENIED', `${what}: the storage refuses it (${told})`, { advice: RIGHTS });
  if (ifAbsent && (status === 412 || status === 409)) {
    const there = new ModelGuardError('ALREADY_EXISTS', `${what} is there already (${told})`);
    // 409: somebody else writes it at this moment, and may yet fail.
    return status === 409 ? hinted(there, { effect: 'undone' }) : there;
  }
  if (status === 429 || status === 503) return again('undone');
  if (status === 501)
    return new ModelGuardError('SERVER_FAILED', `The storage cannot do what is asked (${told})`, { advice: ELSEWHERE });
  if (status >= 500) return again('unknown');
  if (status === 412)
    return new ModelGuardError('RESPONSE_INVALID', `${what} changed while it was read (${told})`, { advice: ELSEWHERE });
  return new ModelGuardError('RESPONSE_INVALID', `${what}: the storage answers with ${told}`, { advice: ELSEWHERE });
}

const ELSEWHERE = 'Check bucket, region and endpoint.';

/** A redirect, for one: the bucket is in another region. */
function misled(error: ModelGuardError): ModelGuardError {
  const told = new ModelGuardError('RESPONSE_INVALID', 'The storage does not answer as an S3 server does for this bucket', {
    cause: error,
    advice: ELSEWHERE,
  });
  const hint = hintOf(error);
  return hint ? hinted(told, hint) : told;
}

/** Nothing was sent, or what came was nothing that the SDK understands. */
function unsent(error: unknown, { name }: Said): ModelGuardError {
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

const requestOf = ({ $metadata }: Said): string => {
  const id = $metadata?.requestId;
  return id !== undefined && /^[\w-]{1,128}$/.test(id) ? `, request ${id}` : '';
};
