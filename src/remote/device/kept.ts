/** The lease that a device keeps of a model: whether it serves while the server is away, and if not, why. */
import { decode } from '../../base/bytes.js';
import type { StatementBody } from '../../contract/index.js';
import { hasCode, ModelGuardError } from '../../errors.js';
import { retryHintOf, withRetryHint } from '../../http/retry-hints.js';
import { label } from '../../stores/parts.js';
import type { ModelRef } from '../../stores/store.js';
import type { Trust } from '../trust.js';
import { readKept } from './grants.js';
import type { Before } from './memory.js';
import type { Grant } from './state.js';

/** A lease that was checked again. */
export interface Kept {
  readonly grant: Grant;
  readonly said: StatementBody<'lease'>;
}

/** Exactly one is there. `unserved` makes the error of a load that finds the server away. */
export type KeptLease =
  | { readonly kept: Kept; readonly unserved?: undefined }
  | { readonly kept?: undefined; readonly unserved: (away: ModelGuardError) => ModelGuardError };

interface Wanted {
  readonly name: string;
  /** Absent: that of the kept lease. */
  readonly version?: string | undefined;
}

/** The kept lease that serves `wanted`, or why none does. */
export function keptLease({ state, moment }: Before, { name, version }: Wanted, trust: Trust, device: string): KeptLease {
  const wanted = version === undefined ? name : label({ name, version });
  const none = (why: string): KeptLease => ({ unserved: (away) => unserved(wanted, why, away) });
  if (trust.server === undefined) return none('this device keeps nothing of a server with the pinned key (serverKey)');
  const grant = state.leases.get(name);
  if (!grant) return none(`this device keeps no lease of ${name}`);
  const ref = { name, version: versionOf(grant) };
  if (version !== undefined && version !== ref.version)
    return none(`this device keeps one lease of each model, the last one, and that is of ${label(ref)}`);
  let said: StatementBody<'lease'>;
  try {
    said = readKept(grant, { ...ref, device }, trust.trusted, trust.server);
  } catch (error) {
    return none(
      hasCode(error, 'SERVER_UNTRUSTED')
        ? 'the one that this device keeps is signed by a key that is not pinned any more (serverKey)'
        : 'the one that this device keeps cannot be used any more',
    );
  }
  if (moment.wall > said.offlineUntil) return { unserved: (away) => expired(ref, said.offlineUntil, away) };
  return { kept: { grant, said } };
}

/** Unverified: to tell kept leases apart. */
export function versionOf({ lease }: Grant): string {
  const said: unknown = JSON.parse(Buffer.from(decode(lease.payload)).toString('utf8'));
  return typeof said === 'object' && said !== null && 'version' in said ? String(said.version) : '';
}

/** Both reasons in one message: why no kept lease serves, then why the server gives none. */
function unserved(wanted: string, why: string, away: ModelGuardError): ModelGuardError {
  const error = new ModelGuardError(away.code, `No kept lease opens ${wanted}: ${why}`, { cause: away, advice: away.message });
  const hint = retryHintOf(away);
  return hint ? withRetryHint(error, hint) : error;
}

const expired = (ref: ModelRef, offlineUntil: number, away: ModelGuardError): ModelGuardError =>
  new ModelGuardError(
    'LEASE_EXPIRED',
    `The kept lease of ${label(ref)} was good without the server until ${new Date(offlineUntil * 1000).toISOString()}`,
    { cause: away, advice: `It is needed again now: ${away.message}` },
  );
