/** Releases, rejects and revokes versions. */
import { type AuditAction, ModelGuardError } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import { recordRefusals } from '../audit/record-refusals.js';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import type { Schema, VersionTable } from '../database/schema.js';
import { revokeLeasesOf } from '../devices/revocation.js';
import type { Ref } from '../parts/parts.js';
import { findVersion, resourceOf, type Version, versionOf } from './versions.js';

type Row = Pick<VersionTable, 'name' | 'version' | 'ordinal' | 'state'>;
type Reviewed = Row & Pick<VersionTable, 'payload_id'>;

/**
 * Releases a version; a second time changes nothing. With `rollback` newer released versions are rejected.
 * @param payloadId The payload that was reviewed.
 * @throws NOT_FOUND · REVIEW_OUTDATED · NOT_RELEASED if it was revoked · ROLLBACK_REFUSED if a newer one is released
 */
export const releaseVersion = (
  context: Context,
  member: Member,
  ref: Ref,
  { payloadId, rollback }: { readonly payloadId: string; readonly rollback: boolean },
): Promise<Version> =>
  withDecision(context, member, ref, 'models.release', async (trx, row) => {
    demandReviewed(row, payloadId);
    if (row.state === 'revoked')
      throw new ModelGuardError('NOT_RELEASED', `${ref.name}@${ref.version} was revoked and does not come back`, {
        advice: 'Publish it under a new version.',
      });
    const newer = await newerReleased(trx, row);
    const [first] = newer;
    if (first && !rollback)
      throw new ModelGuardError('ROLLBACK_REFUSED', `${ref.name}@${first.version} is newer, and is released`, {
        advice: 'Ask for it explicitly (rollback: true, --rollback): the newer one is then rejected.',
      });
    for (const each of newer) {
      await decide(trx, context, each, 'rejected');
      const detail = `${row.version} was released in its place`;
      await context.audit.append(trx, {
        action: 'models.reject',
        outcome: 'success',
        resource: resourceOf(each),
        caller: member,
        detail,
      });
    }
    if (row.state !== 'released') await decide(trx, context, row, 'released');
  });

/**
 * Rejects a pending version; a second time changes nothing.
 * @param payloadId The payload that was reviewed.
 * @throws NOT_FOUND, REVIEW_OUTDATED, INVALID_ARGUMENT
 */
export const rejectVersion = (context: Context, member: Member, ref: Ref, payloadId: string): Promise<Version> =>
  withDecision(context, member, ref, 'models.reject', async (trx, row) => {
    demandReviewed(row, payloadId);
    if (row.state === 'rejected') return;
    if (row.state !== 'pending')
      throw new ModelGuardError('INVALID_ARGUMENT', `${ref.name}@${ref.version} is ${row.state}, not pending`, {
        advice: 'Revoke it, or release an older version in its place (rollback).',
      });
    await decide(trx, context, row, 'rejected');
  });

/**
 * Revokes a version for good, whatever its state, and its leases.
 * @param payloadId The payload that is meant; undefined for the present one. A revocation grants nothing, and need not wait for a
 *   review.
 * @throws NOT_FOUND, REVIEW_OUTDATED
 */
export const revokeVersion = (context: Context, member: Member, ref: Ref, payloadId: string | undefined): Promise<Version> =>
  withDecision(context, member, ref, 'models.revoke', async (trx, row) => {
    if (payloadId !== undefined) demandReviewed(row, payloadId);
    if (row.state !== 'revoked') await decide(trx, context, row, 'revoked');
    await revokeLeasesOf(trx, ref);
  });

/** A decision is about one payload; the version may have been replaced since. */
function demandReviewed({ name, version, payload_id }: Reviewed, payloadId: string): void {
  if (payload_id !== payloadId)
    throw new ModelGuardError(
      'REVIEW_OUTDATED',
      `Payload ${payloadId} was reviewed; ${name}@${version} is payload ${payload_id}`,
    );
}

const newerReleased = (trx: Transaction<Schema>, { name, ordinal }: Row): Promise<Row[]> =>
  trx
    .selectFrom('versions')
    .select(['name', 'version', 'ordinal', 'state'])
    .where('name', '=', name)
    .where('state', '=', 'released')
    .where('ordinal', '>', ordinal)
    .orderBy('ordinal', 'desc')
    .execute();

const decide = (trx: Transaction<Schema>, { now }: Context, { name, version }: Row, state: VersionTable['state']) =>
  trx.updateTable('versions').set({ state, decided: now() }).where('name', '=', name).where('version', '=', version).execute();

async function withDecision(
  context: Context,
  member: Member,
  ref: Ref,
  action: AuditAction,
  change: (trx: Transaction<Schema>, row: Reviewed) => Promise<void>,
): Promise<Version> {
  const entry = { action, resource: resourceOf(ref), caller: member };
  return await recordRefusals(context, entry, () =>
    context.db.transaction().execute(async (trx) => {
      const row = await findVersion(trx, ref);
      await change(trx, row);
      await context.audit.append(trx, { ...entry, outcome: 'success', detail: `payload ${row.payload_id}` });
      return versionOf(await findVersion(trx, ref));
    }),
  );
}
