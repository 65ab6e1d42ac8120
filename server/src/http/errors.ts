/** One shape for every refusal, and nothing in it that the caller may not know. */
import { isModelGuardError, ModelGuardError, type ModelGuardErrorCode, type shapes } from '@org/model-guard/server-kit';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { DatabaseAway } from '../database/away.js';
import { TooMany } from '../too-many.js';
import { WrongField } from '../wrong-field.js';

/** Codes that are the caller's to know; every other one is answered by 500. */
const STATUS: Partial<Record<ModelGuardErrorCode, number>> = {
  INVALID_ARGUMENT: 400,
  NAME_INVALID: 400,
  PASSWORD_WEAK: 400,
  KEY_INVALID: 400,
  KEY_TYPE_WRONG: 400,
  NOT_A_CONTAINER: 400,
  CONTAINER_TRUNCATED: 400,
  CONTAINER_MALFORMED: 400,
  VERSION_UNSUPPORTED: 400,
  CRITICAL_UNSUPPORTED: 400,
  MANIFEST_INVALID: 400,
  NOT_AUTHENTICATED: 401,
  NOT_AUTHORISED: 403,
  DEVICE_NOT_APPROVED: 403,
  DEVICE_REVOKED: 403,
  PROOF_INVALID: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  SEATS_TAKEN: 409,
  NOT_RELEASED: 409,
  ROLLBACK_REFUSED: 409,
  AUDIT_LOG_ROLLED_BACK: 409,
  REVIEW_OUTDATED: 409,
  REFERENCE_MISMATCH: 409,
  PARTS_MISMATCH: 409,
  SIGNATURE_MISSING: 409,
  SIGNATURE_INVALID: 409,
  DIGEST_MISMATCH: 409,
  INTEGRITY_FAILED: 409,
  NO_MATCHING_IDENTITY: 409,
  LIMIT_EXCEEDED: 413,
  RATE_LIMITED: 429,
};

type Failure = z.output<typeof shapes.failure>;
type Issue = NonNullable<FastifyError['validation']>[number];
interface Refusal {
  readonly status: number;
  readonly code: ModelGuardErrorCode;
  readonly message: string;
  readonly path?: string | undefined;
}

/** A database that is restarted or replaced is back within some seconds. */
const AWAY_SECONDS = 2;

/**
 * Bodies of a refused request that are still on their way are not waited for beyond this many bytes. A client that is to come back must be
 * able to read when: a connection that is closed in the middle of a body may take the answer with it.
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

/** The answer to an error, for errors before routing too. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusal = refusalOf(error);
  // The message of an error that nobody foresaw may hold anything: it is for the log alone.
  if (refusal.status >= 500) request.log.error({ err: error, request_id: request.id }, 'failed');
  if (refusal === noRoom) request.log.warn({ err: error, request_id: request.id }, 'the disk is full');
  if (refusal.status === 401) reply.header('www-authenticate', 'Bearer');
  if (refusal.code === 'NOT_AUTHORISED' && !hasOldRole(request)) reply.header('www-authenticate', MISSING_PERMISSION);
  if (error instanceof TooMany) reply.header('retry-after', error.seconds);
  // To clients it says that nothing was done: they repeat then what must not be done twice.
  if (error instanceof DatabaseAway && error.undone) reply.header('retry-after', AWAY_SECONDS);
  if (bodyIsUnread(request, error instanceof TooMany ? WORTH_READING_FOR_RETRY : WORTH_READING))
    reply.header('connection', 'close');
  const { code, message, path } = refusal;
  const body: Failure = { error: { code, message, ...(path !== undefined && { path }), request: request.id } };
  // As text: it is the same shape whatever the route promises for other answers.
  return reply.code(refusal.status).type('application/json; charset=utf-8').serializer(JSON.stringify).send(body);
}

/** RFC 6750, section 3.1: to clients it says that another log-in changes nothing. */
const MISSING_PERMISSION = 'Bearer error="insufficient_scope"';
/** The role was changed after the token was made. The caller is absent before routing. */
function hasOldRole({ caller }: Pick<FastifyRequest, 'caller'>): boolean {
  const { account, rights } = (caller as FastifyRequest['caller'] | undefined) ?? {};
  return rights?.tokenRole !== undefined && rights.tokenRole !== account?.role;
}

function refusalOf(error: unknown): Refusal {
  if (isFull(error)) return noRoom;
  if (isModelGuardError(error)) {
    if (error.code === 'SERVER_UNREACHABLE') return storageAway;
    const status = STATUS[error.code];
    if (status === undefined) return failed;
    const path = error instanceof WrongField ? error.path : undefined;
    return { status, code: error.code, message: error.message, path };
  }
  if (error instanceof DatabaseAway) return away;
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
/** What this server reaches over a network: a bucket. */
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
/** A full disk, even if it is found late: another program may fill it after the reserve was checked. */
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

/** `seats`, `keys.0` of the body, `query.limit` of what is elsewhere; of a member that is not known, its name. */
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
