import { z } from 'zod';
import { objectWith, parse } from '../base/validate.js';
import { ONE_ORIGIN, oneOrigin } from '../engine/options.js';
import type { GuardServer } from './guard-server.js';
import { unlockShape } from './options.js';
import type { UnlockOptions } from './types.js';
import type { Unlocking } from './unlocking.js';

const from = objectWith<GuardServer>('a guard server', 'unlock', 'enroll');
export const unlockFromOptions = z.strictObject({ ...unlockShape, from }).refine(oneOrigin, ONE_ORIGIN);

/**
 * Decrypts an archive that lies here with a key that the guard server hands out for this one time, as a stream: for pipes, in little
 * memory, and nothing decrypted is written. The file is held against its registered SHA-256 first, then read once more. A legacy
 * archive has no other proof of what it is.
 *
 * Nothing happens before the stream is read. Breaking off costs nothing but the rest. A reader that never sees it fail (a program behind a
 * pipe) must not take what it got for the whole: `pipeTo` says how.
 * @param archive Path of the archive.
 * @returns At once. `stream` fails with: NOT_FOUND, ARCHIVE_CHANGED, SOURCE_CHANGED, SOURCE_UNSUPPORTED · NOT_AUTHENTICATED,
 *   NOT_AUTHORISED, DEVICE_NOT_APPROVED, DEVICE_REVOKED, PROOF_INVALID, SEATS_TAKEN · VERIFIER_REQUIRED, SIGNATURE_MISSING,
 *   SIGNATURE_INVALID, DIGEST_MISMATCH, INTEGRITY_FAILED, NO_MATCHING_IDENTITY, LEGACY_FAILED, KEY_TYPE_WRONG · CLOCK_SET_BACK,
 *   CLOCK_SKEWED, AUDIT_LOG_ROLLED_BACK · SERVER_UNREACHABLE, SERVER_UNTRUSTED, SERVER_FAILED, RESPONSE_INVALID, RATE_LIMITED, TIMED_OUT ·
 *   ABORT_ERR
 * @throws INVALID_ARGUMENT, NAME_INVALID
 * @see docs/server-protocol.md section 5
 * @example
 * await unlock('images.tar.mguard', { from: guard }).pipeTo(tar.stdin);
 */
export function unlock(archive: string, options: UnlockOptions & { readonly from: GuardServer }): Unlocking {
  const { from, ...rest } = parse(unlockFromOptions, options);
  return from.unlock(archive, rest);
}
