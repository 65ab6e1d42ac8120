/** Checks that a grant of a server is the one that was asked for, and that its parts agree. */
import { readStatement, type StatementBody } from '../../contract/index.js';
import { ModelGuardError } from '../../errors.js';
import { call } from '../../native/index.js';
import { bigPartOf, checkSmallSize } from '../../stores/parts.js';
import type { Grant } from './state.js';

/** The model that a lease must be for. */
export interface Wanted {
  readonly name: string;
  readonly version?: string | undefined;
  /** 32 hex digits. */
  readonly device: string;
}

/** SERVER_UNTRUSTED, RESPONSE_INVALID, LIMIT_EXCEEDED; what is malformed as a small part says how. */
export function checkGrant(grant: Grant, said: StatementBody<'lease'>, wanted: Wanted): void {
  if (said.device !== wanted.device) throw other('is for another device');
  if (said.name !== wanted.name || (wanted.version !== undefined && said.version !== wanted.version))
    throw other(`is for ${said.name}@${said.version}`);
  if (said.notBefore > said.notAfter || said.offlineUntil > said.notAfter) throw other('ends before it begins');
  checkSmallSize(grant.small.length, `The lease of ${said.name}@${said.version}`);
  const info = call((native) => native.inspect(grant.small));
  if (info.name !== said.name || info.version !== said.version || info.payloadId !== said.payloadId)
    throw other('comes with another small part');
  const fits = info.slots.every(
    ({ policy }) =>
      policy !== undefined &&
      policy.leaseId === said.lease &&
      policy.deviceId === said.device &&
      policy.notBefore === said.notBefore &&
      policy.notAfter === said.notAfter &&
      policy.offlineUntil === said.offlineUntil,
  );
  if (!fits || info.slots.length === 0) throw other('says something else than its small part');
  const big = bigPartOf(grant.small);
  if (big.name !== grant.big.name || big.size !== grant.big.size) throw other('names a big part of another small part');
}

const other = (what: string): ModelGuardError =>
  new ModelGuardError('RESPONSE_INVALID', `The lease that the server gives ${what}`);

/** The statement of a lease that was kept, checked again. SERVER_UNTRUSTED, RESPONSE_INVALID */
export function readKept(grant: Grant, wanted: Wanted, trusted: readonly string[], server: string): StatementBody<'lease'> {
  const said = readStatement('lease', grant.lease, { trusted, server });
  checkGrant(grant, said, wanted);
  return said;
}
