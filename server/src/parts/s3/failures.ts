/** Turns failures of the bucket into errors of this server, without the addresses that the errors of S3 clients name. */
import { codeOf, isModelGuardError, ModelGuardError, type ModelGuardErrorCode, S3Refusal } from '@org/model-guard/server-kit';

/** The facts of a failed request, for the log. */
class BucketFailure extends Error {
  override readonly name = 'BucketFailure';
  readonly refusal: S3Refusal | undefined;

  constructor(operation: string, facts: string, refusal: S3Refusal | undefined) {
    super(`${operation}: ${facts}`);
    this.refusal = refusal;
  }
}

/** The storage gave no answer of its own. */
const UNANSWERED: ReadonlySet<ModelGuardErrorCode> = new Set(['SERVER_UNREACHABLE', 'SERVER_FAILED', 'TIMED_OUT']);

/**
 * SERVER_UNREACHABLE if a repetition may help, else IO_FAILED. A cancellation passes.
 * @param operation Such as `HeadObject`.
 */
export function bucketFailure(operation: string, error: unknown): unknown {
  if (!isModelGuardError(error) || error.code === 'ABORT_ERR') return error;
  const refusal = error.cause instanceof S3Refusal ? error.cause : undefined;
  const cause = new BucketFailure(operation, refusal?.message ?? codeOf(error.cause) ?? error.code, refusal);
  if (refusal ? refusal.status === 429 || refusal.status >= 500 : UNANSWERED.has(error.code))
    return new ModelGuardError('SERVER_UNREACHABLE', 'The storage of big parts does not answer', {
      cause,
      advice: 'Ask again in a while.',
    });
  if (refusal)
    return new ModelGuardError('IO_FAILED', `The storage of big parts refuses ${operation} with status ${refusal.status}`, {
      cause,
      advice: 'Check the bucket, its policy, and the keys of this server.',
    });
  return new ModelGuardError('IO_FAILED', `The storage of big parts answers ${operation} as no S3 server does`, {
    cause,
    advice: 'Check the endpoint: is it an S3 server?',
  });
}

const refusalOf = (error: unknown): S3Refusal | undefined =>
  isModelGuardError(error) && error.cause instanceof BucketFailure ? error.cause.refusal : undefined;

/** Whether the bucket has no such upload. */
export const isUnknownUpload = (error: unknown): boolean => refusalOf(error)?.s3Code === 'NoSuchUpload';

/** Whether an object may be missing, or refused: a bucket answers 403 for both where the keys may not list it. */
export const mayBeMissing = (error: unknown): boolean => [403, 404].includes(refusalOf(error)?.status ?? 0);
