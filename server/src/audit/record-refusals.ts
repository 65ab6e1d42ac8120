/** Records refusals in the audit log. */
import { isModelGuardError, type ModelGuardError, type ModelGuardErrorCode } from '@org/model-guard/server-kit';
import { MissingKeyError } from '../base/missing-key.js';
import type { AuditEntry, Context } from '../context.js';

/** Codes of missing rights. Every other failure is a mistake of the caller, or a state that is in the way. */
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

/** The outcome in the audit log for an error. A key that the server lacks is no fault of the caller. */
export const outcomeOf = (error: ModelGuardError): 'denied' | 'failure' =>
  DENIALS.has(error.code) && !(error instanceof MissingKeyError) ? 'denied' : 'failure';

/** Runs `task`, and records its error with the code. */
export async function recordRefusals<T>(
  { audit }: Context,
  entry: Omit<AuditEntry, 'outcome'>,
  task: () => Promise<T>,
): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (isModelGuardError(error)) await audit.record({ ...entry, outcome: outcomeOf(error), detail: error.code });
    throw error;
  }
}
