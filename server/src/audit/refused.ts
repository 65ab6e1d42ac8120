/** Refusals of a service go into the log like what it grants. */
import { isModelGuardError, type ModelGuardErrorCode } from '@org/model-guard/server-kit';
import type { AuditEntry, Context } from '../context.js';

/** Somebody may not; everything else that fails is a mistake or a state in the way. */
const DENIALS: ReadonlySet<ModelGuardErrorCode> = new Set([
  'NOT_AUTHENTICATED',
  'NOT_AUTHORISED',
  'NOT_FOUND',
  'PROOF_INVALID',
  'DEVICE_NOT_APPROVED',
  'DEVICE_REVOKED',
  'NOT_RELEASED',
  'SEATS_TAKEN',
  'ROLLBACK_REFUSED',
  'AUDIT_LOG_ROLLED_BACK',
  'SIGNATURE_INVALID',
  'SIGNATURE_MISSING',
]);

/** The outcome that an error stands for. */
export const outcomeOf = (code: ModelGuardErrorCode): 'denied' | 'failure' => (DENIALS.has(code) ? 'denied' : 'failure');

/** Runs `task`; what it refuses is recorded with its code. */
export async function recordingRefusals<T>(
  { audit }: Context,
  entry: Omit<AuditEntry, 'outcome'>,
  task: () => Promise<T>,
): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (isModelGuardError(error)) await audit.record({ ...entry, outcome: outcomeOf(error.code), detail: error.code });
    throw error;
  }
}
