/** Exports everything that is stored about an account, in pages. */
import type { RouteAnswer } from '@org/model-guard/server-kit';
import { accountOf, findEmails } from '../accounts/profiles.js';
import { findUser } from '../accounts/users.js';
import { eventsOf } from '../audit/query.js';
import type { Member } from '../base/caller.js';
import { FieldError } from '../base/field-error.js';
import type { Context } from '../context.js';
import { datedCursor, datedPage, type Page, type PageQuery, pageOf } from '../database/pages.js';
import { deviceOf, namedDevices } from '../devices/names.js';
import { entitlementOf } from '../entitlements/entitlements.js';
import { leaseOf } from '../leases/leases.js';

type PersonalData = RouteAnswer<'exportOwnData'>;

/** Sections in their order: a page begins with the rest of one, and continues with the next ones while there is room. */
const SECTIONS = ['devices', 'entitlements', 'leases', 'events'] as const;
type Section = (typeof SECTIONS)[number];

/** @throws NOT_FOUND */
export async function exportPersonalData(
  context: Context,
  caller: Member,
  account: string,
  { cursor, limit }: PageQuery,
): Promise<PersonalData> {
  const { db, audit } = context;
  let from = startOf(cursor);
  const { subject } = await findUser(db, account);
  // First, so that the export holds its own event.
  const about = { resource: `account:${account}`, subject };
  await audit.record({ action: 'subjects.export', outcome: 'success', caller, ...about });
  const whose = accountOf(context, await findUser(db, account));
  const data: PersonalData = { account: whose, devices: [], entitlements: [], leases: [], events: [] };
  let room = limit;
  for (const section of SECTIONS.slice(SECTIONS.indexOf(from.section))) {
    if (room === 0) return { ...data, next: section };
    const page = { cursor: from.section === section ? from.cursor : undefined, limit: room };
    const { items, next } = await readSection(context, { account, subject }, section, page);
    Object.assign(data, { [section]: items });
    if (next !== undefined) return { ...data, next: `${section}.${next}` };
    room -= items.length;
    from = { section, cursor: undefined };
  }
  return data;
}

/** `<section>` or `<section>.<cursor of that section>`. */
function startOf(cursor: string | undefined): { section: Section; cursor: string | undefined } {
  if (cursor === undefined) return { section: 'devices', cursor: undefined };
  const [name = '', ...rest] = cursor.split('.');
  const section = SECTIONS.find((one) => one === name);
  if (section === undefined) throw new FieldError('cursor', 'is not a cursor of this list');
  return { section, cursor: rest.length === 0 ? undefined : rest.join('.') };
}

async function readSection(
  context: Context,
  { account, subject }: { readonly account: string; readonly subject: string },
  section: Section,
  page: PageQuery,
): Promise<Page<unknown>> {
  if (section === 'events') {
    const { events, ...rest } = await eventsOf(context, (accounts, only) => findEmails(context, accounts, only), subject, page);
    return { items: events, ...rest };
  }
  const { db } = context;
  if (section === 'devices') {
    const query = namedDevices(db).where('devices.account', '=', account);
    const rows = await datedPage(query, 'devices', page).execute();
    return pageOf(rows, page.limit, datedCursor, (row) => deviceOf(context, row));
  }
  if (section === 'entitlements') {
    const query = db.selectFrom('entitlements').selectAll().where('account', '=', account);
    return pageOf(await datedPage(query, 'entitlements', page).execute(), page.limit, datedCursor, entitlementOf);
  }
  const query = db.selectFrom('leases').selectAll().where('account', '=', account);
  return pageOf(await datedPage(query, 'leases', page).execute(), page.limit, datedCursor, leaseOf);
}
