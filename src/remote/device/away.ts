/** A server that cannot answer at the moment, and how long it is waited for where what was kept will do. */
import type { AbortSignalLike } from '../../abort.js';
import { isModelGuardError, type ModelGuardError, type ModelGuardErrorCode } from '../../errors.js';
import { within } from '../../http/watch.js';
import type { Connection } from '../connection.js';

const CODES: ReadonlySet<ModelGuardErrorCode> = new Set(['SERVER_UNREACHABLE', 'TIMED_OUT', 'SERVER_FAILED', 'RATE_LIMITED']);
/** With a lease in hand nobody waits long for a server that is away. */
export const SHORT_MS = 5_000;

/** The server is not there, or not in a state to answer: what was kept may be used. */
export const isAway = (error: unknown): error is ModelGuardError => isModelGuardError(error) && CODES.has(error.code);

/** Runs `task`, which asks the server, for a short time only. TIMED_OUT */
export const shortly = <T>(
  { client }: Connection,
  signal: AbortSignalLike | undefined,
  task: (limited: AbortSignalLike) => Promise<T>,
): Promise<T> => within(Math.min(SHORT_MS, client.transport.timeoutMs), signal, task);
