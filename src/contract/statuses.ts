/** The HTTP statuses of error codes, for server, client and the OpenAPI document. */
import type { ModelGuardErrorCode } from '../errors.js';

/**
 * The statuses that may carry a code. The server answers with the first; the client takes the others, too. A code that is absent is never
 * told to clients, such as TIMED_OUT, which only the client itself can know.
 */
const STATUSES: Partial<Record<ModelGuardErrorCode, readonly [number, ...number[]]>> = {
  INVALID_ARGUMENT: [400],
  NAME_INVALID: [400],
  PASSWORD_WEAK: [400],
  KEY_INVALID: [400],
  KEY_TYPE_WRONG: [400],
  NOT_A_CONTAINER: [400],
  CONTAINER_TRUNCATED: [400],
  CONTAINER_MALFORMED: [400],
  VERSION_UNSUPPORTED: [400],
  CRITICAL_UNSUPPORTED: [400],
  MANIFEST_INVALID: [400],
  NOT_AUTHENTICATED: [401],
  NOT_AUTHORISED: [403],
  DEVICE_NOT_APPROVED: [403],
  DEVICE_REVOKED: [403],
  PROOF_INVALID: [403],
  NOT_FOUND: [404],
  ALREADY_EXISTS: [409],
  SEATS_TAKEN: [409],
  NOT_RELEASED: [409],
  ROLLBACK_REFUSED: [409],
  AUDIT_LOG_ROLLED_BACK: [409],
  REVIEW_OUTDATED: [409],
  REFERENCE_MISMATCH: [409],
  PARTS_MISMATCH: [409],
  SIGNATURE_MISSING: [409],
  SIGNATURE_INVALID: [409],
  DIGEST_MISMATCH: [409],
  INTEGRITY_FAILED: [409],
  NO_MATCHING_IDENTITY: [409],
  LIMIT_EXCEEDED: [413, 414, 400],
  RATE_LIMITED: [429],
};

/** The status that the server answers a code with; undefined for a code that clients are not told. */
export const statusOf = (code: ModelGuardErrorCode): number | undefined => STATUSES[code]?.[0];

/** The codes that an answer of this status may carry. The first stands for a code that is unknown. */
export const codesOf = (status: number): readonly ModelGuardErrorCode[] =>
  (Object.keys(STATUSES) as ModelGuardErrorCode[]).filter((code) => STATUSES[code]?.includes(status));
