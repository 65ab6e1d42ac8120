/** A server that cannot answer at the moment, and how long it is waited for where what was kept will do. */
import type { AbortSignalLike } from '../../base/abort.js';
import { hasCode, isModelGuardError, type ModelGuardError, type ModelGuardErrorCode } from '../../errors.js';
import { within } from '../../http/watch.js';
import type { Client } from '../http/client.js';
import { isForeign } from '../http/intermediary.js';

const CODES: ReadonlySet<ModelGuardErrorCode> = new Set([
  'SERVER_UNREACHABLE',
  'TIMED_OUT',
  'SERVER_FAILED',
  'RATE_LIMITED',
  // Another server answers, without the pinned key. It gains no more by that than by answering nothing.
  'SERVER_UNTRUSTED',
]);
/** With a lease in hand, a load does not wait long for an unavailable server. */
export const SHORT_MS = 5_000;

/** The server is not there, not in a state to answer, or something else answers in its place: what was kept may be used. */
export const isUnavailable = (error: unknown): error is ModelGuardError =>
  isModelGuardError(error) && (CODES.has(error.code) || isForeign(error));

/** Runs `task`, which asks the server, for a short time only. TIMED_OUT */
export const shortly = <T>(
  { client }: { readonly client: Client },
  signal: AbortSignalLike | undefined,
  task: (limited: AbortSignalLike) => Promise<T>,
): Promise<T> => within(Math.min(SHORT_MS, client.transport.timeoutMs), signal, task);

/** The code of the warning that a kept lease was used although what answers is not the server. */
export const SERVER_UNTRUSTED_WARNING = 'MODEL_GUARD_SERVER_UNTRUSTED';

/** A server without the pinned key may be an attack, and a load that works would hide it. */
export function warnIfUntrusted(away: ModelGuardError): void {
  if (!hasCode(away, 'SERVER_UNTRUSTED')) return;
  process.emitWarning(`A kept lease was used, because what answers is not the guard server: ${away.message}`, {
    type: 'ModelGuardWarning',
    code: SERVER_UNTRUSTED_WARNING,
  });
}
