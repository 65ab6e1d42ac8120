/** Answers every error in one shape that holds nothing the caller may not know. */
import { isModelGuardError, ModelGuardError, type ModelGuardErrorCode, type shapes, statusOf } from '@org/model-guard/server-kit';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { FieldError } from '../base/field-error.js';
import { MissingKeyError } from '../base/missing-key.js';
import { DatabaseUnavailable } from '../database/unavailable.js';
import { RateLimitError } from '../limits/rate-limit-error.js';

type Failure = z.output<typeof shapes.failure>;
type Issue = NonNullable<FastifyError['validation']>[number];
interface Refusal {
  readonly status: number;
  readonly code: ModelGuardErrorCode;
  readonly message: string;
  readonly path?: string | undefined;
}

/** Seconds after which a database that is restarted or replaced is usually back. */
const AWAY_SECONDS = 2;

/**
 * Bytes of a refused request's body that are read and dropped. Beyond them the connection is closed, and the client may lose the
 * answer; so a client that should retry is read for longer.
 */
const WORTH_READING = 64 * 1024;
const WORTH_READING_FOR_RETRY = 32 * 1024 * 1024;

/** Answers every error of every route. */
export function registerErrors(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply));
  app.setNotFoundHandler(() => {
    throw new ModelGuardError('NOT_FOUND', 'There is no such route');
  });
}

/** The answer to an error, also before routing. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusal = refusalOf(error);
  // The message of an unexpected error may hold anything, so it goes to the log alone.
  if (refusal.status >= 500) request.log.error({ err: error, request_id: request.id }, 'failed');
  if (refusal === noRoom) request.log.warn({ err: error, request_id: request.id }, 'the disk is full');
  if (refusal.status === 401) reply.header('www-authenticate', 'Bearer');
  if (refusal.code === 'NOT_AUTHORISED' && !hasOldRole(request)) reply.header('www-authenticate', MISSING_PERMISSION);
  if (error instanceof RateLimitError) reply.header('retry-after', error.seconds);
  // `Retry-After` tells clients that nothing was done, so that they repeat requests that must not run twice.
  if (error instanceof DatabaseUnavailable && error.undone) reply.header('retry-after', AWAY_SECONDS);
  if (bodyIsUnread(request, error instanceof RateLimitError ? WORTH_READING_FOR_RETRY : WORTH_READING))
    reply.header('connection', 'close');
  const { code, message, path } = refusal;
  const body: Failure = { error: { code, message, ...(path !== undefined && { path }), request: request.id } };
  // As text: the shape of errors differs from that of the route's answers.
  return reply.code(refusal.status).type('application/json; charset=utf-8').serializer(JSON.stringify).send(body);
}

/** RFC 6750, section 3.1: tells clients that another log-in changes nothing. */
const MISSING_PERMISSION = 'Bearer error="insufficient_scope"';
/** Whether the role was changed after the token was made. The caller is absent before routing. */
function hasOldRole({ caller }: Pick<FastifyRequest, 'caller'>): boolean {
  const { account, rights } = (caller as FastifyRequest['caller'] | undefined) ?? {};
  return rights?.tokenRole !== undefined && rights.tokenRole !== account?.role;
}

function refusalOf(error: unknown): Refusal {
  if (isFull(error)) return noRoom;
  if (error instanceof MissingKeyError) return failed;
  if (isModelGuardError(error)) {
    if (error.code === 'SERVER_UNREACHABLE') return storageAway;
    const status = statusOf(error.code);
    // A code that clients are not told.
    if (status === undefined) return failed;
    const path = error instanceof FieldError ? error.path : undefined;
    return { status, code: error.code, message: error.message, path };
  }
  if (error instanceof DatabaseUnavailable) return away;
  const { validation, validationContext, statusCode, code } = error as Partial<FastifyError>;
  const [issue] = validation ?? [];
  if (issue) return invalid(issue.message ?? 'is wrong', pathOf(issue, validationContext));
  if (code === 'FST_ERR_BAD_URL') return invalid('The path is not valid');
  if (statusCode === 413 || statusCode === 414) return limit(statusCode);
  if (statusCode === 415) return { ...invalid('The content type is not the one that this route takes'), status: 415 };
  if (statusCode === 503) return { ...failed, status: 503, message: 'The server is shutting down.' };
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) return invalid('The request could not be read');
  return failed;
}

const failed: Refusal = {
  status: 500,
  code: 'SERVER_FAILED',
  message: 'The server failed; its log says more under this request id.',
};
const away: Refusal = { ...failed, status: 503, message: 'The database cannot be asked at the moment. Try again later.' };
/** The storage that this server reaches over a network: a bucket. */
const storageAway: Refusal = { ...away, message: 'The storage of big parts does not answer at the moment. Try again later.' };
const limit = (status: number): Refusal => ({
  status,
  code: 'LIMIT_EXCEEDED',
  message: new ModelGuardError('LIMIT_EXCEEDED', 'The request is longer than this route takes', { advice: 'Send less.' }).message,
});
const noRoom: Refusal = {
  status: 413,
  code: 'LIMIT_EXCEEDED',
  message: new ModelGuardError('LIMIT_EXCEEDED', 'The disk of this server is full', {
    advice: 'Have its administrator make room.',
  }).message,
};
/** Whether the disk is full: another program may fill it after the reserve was checked. */
const isFull = (error: unknown): boolean =>
  isModelGuardError(error)
    ? error.code === 'NO_SPACE'
    : ['ENOSPC', 'EDQUOT'].includes(String((error as NodeJS.ErrnoException | undefined)?.code));
const invalid = (what: string, path?: string): Refusal => ({
  status: 400,
  code: 'INVALID_ARGUMENT',
  message: path ? `${path} ${what}` : what,
  path: path || undefined,
});

/** `seats`, `keys.0` of the body, `query.limit` elsewhere; an unknown member by its name. */
function pathOf({ instancePath, params }: Issue, context = 'body'): string {
  const where = context === 'body' ? [] : [context === 'querystring' ? 'query' : context];
  const path = [...where, ...instancePath.split('/').filter((step) => step !== '')];
  const [unknown] = Array.isArray(params?.keys) ? (params.keys as string[]) : [];
  if (unknown !== undefined) path.push(unknown.slice(0, 64));
  return path.join('.');
}

function bodyIsUnread({ raw, headers }: FastifyRequest, worth: number): boolean {
  const announced = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > worth;
  return announced && !raw.complete;
}
