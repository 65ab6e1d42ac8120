/** What a bucket says went wrong. What the SDK throws holds requests and signatures, so that none of it goes on. */
import { ModelGuardError } from '@org/model-guard/server-kit';

interface Thrown {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
}

/** What is kept of a request that failed: for the log, as the cause of this server's own error. */
class Refusal extends Error {
  constructor(
    asked: string,
    readonly said: string,
    readonly status: number | undefined,
    readonly request: string | undefined,
  ) {
    super(`${asked}: ${said}`);
    this.name = 'BucketRefusal';
  }
}

/** SERVER_UNREACHABLE if asking again may help, else IO_FAILED. `asked`: the operation, without any address. */
export function bucketFailure(asked: string, thrown: unknown): ModelGuardError {
  const { name, code, $metadata = {} } = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as Thrown;
  const said = [code, name].find((word) => typeof word === 'string' && /^\w{1,64}$/.test(word) && word !== 'Error');
  const { httpStatusCode: status, requestId } = $metadata;
  const cause = new Refusal(asked, String(said ?? 'failed'), status, requestId);
  if (status === undefined || status === 429 || status >= 500)
    return new ModelGuardError('SERVER_UNREACHABLE', 'The storage of big parts does not answer', {
      cause,
      advice: 'Ask again in a while.',
    });
  return new ModelGuardError('IO_FAILED', `The storage of big parts refuses ${asked} with status ${status}`, {
    cause,
    advice: 'Check the bucket, its policy, and the keys of this server.',
  });
}

/** A list that goes in circles, or on beyond all that S3 has. */
export const endlessList = (asked: string): ModelGuardError =>
  new ModelGuardError('IO_FAILED', `The storage of big parts answers ${asked} with a list that does not go on`, {
    advice: 'Check the endpoint: is it an S3 server?',
  });

const refusalOf = (error: unknown): Refusal | undefined =>
  error instanceof ModelGuardError && error.cause instanceof Refusal ? error.cause : undefined;

/** Whether the bucket knows no such upload. */
export const isUnknownUpload = (error: unknown): boolean => refusalOf(error)?.said === 'NoSuchUpload';

/** Whether something may be missing, or be refused: a bucket answers 403 for both where the keys may not list it. */
export const mayBeMissing = (error: unknown): boolean => [403, 404].includes(refusalOf(error)?.status ?? 0);
