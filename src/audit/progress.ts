/** Checks, with checkpoints that a client kept, that a server's log only ever grows. */
import { ModelGuardError } from '../errors.js';
import type { AuditCheckpoint } from './types.js';

/**
 * The checkpoint to keep: the newer of the two. Both signatures are checked by the caller. `kept` is what was kept when the request
 * was sent: of two answers that overtake each other, the older one is no step back.
 * @throws AUDIT_LOG_ROLLED_BACK if `shown` has fewer events than `kept`, another head after as many, or belongs to another log
 */
export function checkProgress<Shown extends AuditCheckpoint>(kept: Shown | undefined, shown: Shown): Shown {
  if (kept === undefined) return shown;
  if (shown.logId !== kept.logId)
    throw rolledBack(`The server shows the audit log ${shown.logId}; the one that was kept is ${kept.logId}`);
  if (shown.seq < kept.seq)
    throw rolledBack(`The server's audit log ends at event ${shown.seq}; it had ${kept.seq} at ${dateOf(kept)}`);
  if (shown.seq === kept.seq && shown.head !== kept.head)
    throw rolledBack(`The server shows another history of its first ${kept.seq} events than at ${dateOf(kept)}`);
  return shown.seq > kept.seq || shown.time > kept.time ? shown : kept;
}

/** Of a position that the server's log does not hold any more; its administrator needs to know which. */
export const lostPosition = (
  { seq, head }: Pick<AuditCheckpoint, 'seq' | 'head'>,
  what: string,
  cause?: unknown,
): ModelGuardError =>
  new ModelGuardError('AUDIT_LOG_ROLLED_BACK', `${what} Kept: event ${seq}, head ${head}`, {
    ...(cause !== undefined && { cause }),
  });

const rolledBack = (what: string): ModelGuardError => new ModelGuardError('AUDIT_LOG_ROLLED_BACK', what);
const dateOf = ({ time }: AuditCheckpoint): string => new Date(time * 1000).toISOString();
