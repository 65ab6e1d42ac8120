/** Rebuilds from the audit log which device held which seat at every moment: its order is the order in which seats were taken. */
import type { AuditEvent, GuardServer } from '@org/model-guard';

/** A row of the table of leases. */
export interface LeaseRow {
  readonly id: string;
  readonly entitlement: string;
  readonly name: string;
  readonly version: string;
  readonly device: string;
  readonly not_after: number;
  readonly offline_until: number;
  readonly created: number;
}

/** The counts of the check. */
export interface History {
  readonly granted: number;
  readonly ended: number;
  /** The most devices that sat under one entitlement at once. */
  readonly most: number;
  readonly faults: readonly string[];
}

const GRANTED = /^device ([0-9a-f]{32}), lease ([0-9a-f]{32})$/;
const NOT_ISSUED = /^lease ([0-9a-f]{32}) was not issued$/;

/** Leases that were taken and given back, because they could not be signed or had ended by then: their rows are gone. */
export async function givenBack(guard: GuardServer): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for await (const { personal } of guard.audit.events({ action: 'leases.take', outcome: 'failure' })) {
    const id = NOT_ISSUED.exec(personal?.detail ?? '')?.[1];
    if (id !== undefined) ids.add(id);
  }
  return ids;
}

/** Replays the log over the rows. `seatsOf`: of an entitlement. */
export async function replay(
  guard: GuardServer,
  rows: readonly LeaseRow[],
  seatsOf: ReadonlyMap<string, number>,
): Promise<History> {
  const events: AuditEvent[] = [];
  for await (const event of guard.audit.events({ outcome: 'success' })) events.push(event);
  events.sort((one, other) => one.seq - other.seq);
  const returned = await givenBack(guard);

  const byId = new Map(rows.map((row) => [row.id, row]));
  /** Leases that were neither ended nor replaced. */
  const standing = new Map<string, LeaseRow>();
  const faults: string[] = [];
  let [granted, ended, most] = [0, 0, 0];
  const endAll = (which: (row: LeaseRow) => boolean): void => {
    for (const row of standing.values()) if (which(row) && standing.delete(row.id)) ended++;
  };
  for (const { action, resource = '', personal } of events) {
    const detail = personal?.detail ?? '';
    if (action === 'leases.revoke') endAll(({ id }) => resource === `lease:${id}`);
    if (action === 'models.revoke') endAll(({ name, version }) => resource === `model:${name}@${version}`);
    const id = action === 'leases.take' ? GRANTED.exec(detail)?.[2] : undefined;
    if (id === undefined) continue;
    const lease = byId.get(id);
    if (!lease && returned.has(id)) continue;
    if (!lease) {
      faults.push(`the log tells of the lease ${id}, which is not there`);
      continue;
    }
    granted++;
    const { entitlement, device, name, not_after, offline_until, created } = lease;
    for (const row of standing.values()) {
      const same = row.entitlement === entitlement && row.device === device && row.name === name;
      if (same && row.not_after <= not_after && row.offline_until <= offline_until) standing.delete(row.id);
    }
    standing.set(id, lease);
    const sitting = [...standing.values()].filter((row) => row.entitlement === entitlement && row.not_after > created);
    const devices = new Set(sitting.map((row) => row.device)).size;
    most = Math.max(most, devices);
    const seats = seatsOf.get(entitlement) ?? 0;
    if (devices > seats) faults.push(`${devices} devices sat on the ${seats} seats of ${entitlement} when ${id} was granted`);
  }
  return { granted, ended, most, faults };
}
