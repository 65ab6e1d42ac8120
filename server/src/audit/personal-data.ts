/** Everything that is stored about somebody, for that somebody. */
import type { RouteAnswer } from '@org/model-guard/server-kit';
import { accountOf } from '../accounts/profiles.js';
import { findUser } from '../accounts/users.js';
import type { Context, Member } from '../context.js';
import type { PageQuery } from '../database/paging.js';
import { deviceOf, namedDevices } from '../devices/names.js';
import { entitlementOf } from '../leases/entitlements.js';
import { leaseOf } from '../leases/leases.js';
import { eventsOf } from './query.js';

type PersonalData = RouteAnswer<'exportOwnData'>;

/** With a cursor the next events alone: the rest was on the first page. @throws NOT_FOUND */
export async function exportPersonalData(
  context: Context,
  caller: Member,
  account: string,
  page: PageQuery,
): Promise<PersonalData> {
  const { db, audit } = context;
  const { subject } = await findUser(db, account);
  // First, so that it is in what it tells about.
  const about = { resource: `account:${account}`, subject };
  await audit.record({ action: 'subjects.export', outcome: 'success', caller, ...about });
  const events = await eventsOf(context, subject, page);
  const whose = accountOf(context, await findUser(db, account));
  if (page.cursor !== undefined) return { account: whose, devices: [], entitlements: [], leases: [], ...events };
  const devices = await namedDevices(db).where('devices.account', '=', account).orderBy('devices.created').execute();
  const entitlements = await db
    .selectFrom('entitlements')
    .selectAll()
    .where('account', '=', account)
    .orderBy('created')
    .execute();
  const leases = await db.selectFrom('leases').selectAll().where('account', '=', account).orderBy('created').execute();
  return {
    account: whose,
    devices: devices.map((row) => deviceOf(context, row)),
    entitlements: entitlements.map(entitlementOf),
    leases: leases.map(leaseOf),
    ...events,
  };
}
