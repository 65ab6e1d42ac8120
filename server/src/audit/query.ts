/** Answers queries of the log, newest first and in pages, and exports the log as it is stored. */
import { setImmediate } from 'node:timers/promises';
import { EMPTY_HEAD, exportHeader, ModelGuardError, type RouteInput } from '@org/model-guard/server-kit';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import type { Database } from '../database/connection.js';
import { type Page, type PageQuery, pageOf, splitCursor } from '../database/pages.js';
import { lastEvent } from './log.js';
import { type AuditEvent, type FindEmails, openEvents } from './open-events.js';

type AuditQuery = RouteInput<'auditEvents'>['query'];

/** Rows in one read. SQLite answers synchronously, so other requests run between two batches. */
const BATCH = 100;
const yieldToRequests = (): Promise<void> => setImmediate();

/** Events, newest first. Events that are appended while pages are read are on no page, and no event is on two. */
export async function queryEvents(
  context: Context,
  findEmails: FindEmails,
  member: Member,
  question: AuditQuery,
): Promise<Page<AuditEvent>> {
  const { limit } = question;
  // The selection has filtered by action already.
  const byAction = question.account === undefined && question.resource === undefined;
  const rest = byAction ? { ...question, action: undefined } : question;
  const found = new Set<number>();
  // Each query walks one index and ends as soon as a page is full. One query for all of them would read the whole log.
  for (const events of await selections(context, question))
    for (const { seq } of await restOf(events, rest).execute()) found.add(seq);
  const wanted = [...found].sort((a, b) => b - a).slice(0, limit + 1);
  const rows =
    wanted.length === 0
      ? []
      : await context.db
          .selectFrom('audit')
          .select(['seq', 'bytes', 'subject', 'actor'])
          .where('seq', 'in', wanted)
          .orderBy('seq', 'desc')
          .execute();
  await context.audit.record({ action: 'audit.read', outcome: 'success', caller: member, resource: 'audit' });
  const events = new Map((await openEvents(context, findEmails, rows.slice(0, limit))).map((event) => [event.seq, event]));
  return pageOf(
    rows,
    limit,
    ({ seq }) => String(seq),
    ({ seq }) => events.get(seq) as AuditEvent,
  );
}

const eventsIn = (db: Database) => db.selectFrom('audit').select('seq');
type Events = ReturnType<typeof eventsIn>;

/** Queries by the filter that usually selects fewest; together they hold every event that matches it. */
async function selections({ db }: Context, { account, resource, action, outcome }: AuditQuery): Promise<readonly Events[]> {
  const all = eventsIn(db);
  if (account !== undefined) {
    const subject = await subjectOf(db, account);
    const about = all.where('resource', '=', `account:${account}`);
    if (subject === undefined) return [about];
    return [about, all.where('subject', '=', subject), all.where('actor', '=', subject)];
  }
  if (resource !== undefined) return [all.where('resource', '=', resource)];
  if (action !== undefined) return (await actionsOf(db, action)).map((one) => all.where('action', '=', one));
  if (outcome !== undefined) return [all.where('outcome', '=', outcome)];
  return [all];
}

/** Adds the other filters, and the page. */
function restOf(events: Events, { cursor, limit, action, outcome, resource, since, until }: AuditQuery): Events {
  let query = events
    .where('seq', '<', startOf(cursor))
    .orderBy('seq', 'desc')
    .limit(limit + 1);
  if (action !== undefined) {
    const { concern, from, to } = prefixOf(action);
    query = query.where(({ eb, and, or }) =>
      or([eb('action', '=', concern), and([eb('action', '>=', from), eb('action', '<', to)])]),
    );
  }
  if (outcome !== undefined) query = query.where('outcome', '=', outcome);
  if (resource !== undefined) query = query.where('resource', '=', resource);
  if (since !== undefined) query = query.where('time', '>=', since);
  if (until !== undefined) query = query.where('time', '<=', until);
  return query;
}

/** `auth` matches `auth.login` too: from "auth." up to the character that follows the dot in ASCII. */
function prefixOf(action: string) {
  const concern = action.replace(/\.+$/, '');
  return { concern, from: `${concern}.`, to: `${concern}/` };
}

/** The actions of a concern that the log holds, found by one step in the index for each. */
async function actionsOf(db: Database, action: string): Promise<readonly string[]> {
  const { concern, from, to } = prefixOf(action);
  const actions = [concern];
  for (let after = from; ; ) {
    const next = await db
      .selectFrom('audit')
      .select('action')
      .where('action', '>', after)
      .where('action', '<', to)
      .orderBy('action')
      .limit(1)
      .executeTakeFirst();
    if (!next) return actions;
    actions.push(next.action);
    after = next.action;
  }
}

function startOf(cursor: string | undefined): number {
  if (cursor === undefined) return Number.MAX_SAFE_INTEGER;
  if (!/^[1-9][0-9]{0,15}$/.test(cursor))
    throw new ModelGuardError('INVALID_ARGUMENT', 'query.cursor: is not a cursor of this list');
  return Number(cursor);
}

/** Undefined for an account that is erased. */
async function subjectOf(db: Database, account: string): Promise<string | undefined> {
  const row = await db.selectFrom('users').select('subject').where('id', '=', account).executeTakeFirst();
  return row?.subject;
}

/**
 * Events about an account and of an account, oldest first, opened with its key alone; data about other subjects stays closed.
 * Pages end where the log ended at the first page, so that the events of reading do not prolong it.
 */
export async function eventsOf(
  context: Context,
  findEmails: FindEmails,
  subject: string,
  { cursor, limit }: PageQuery,
): Promise<{ events: AuditEvent[]; next?: string }> {
  const start = cursor === undefined ? undefined : splitCursor(cursor);
  const end = start ? startOf(start.text) : (await lastEvent(context.db)).seq;
  const events: AuditEvent[] = [];
  for (let after = start?.number ?? 0; ; ) {
    const wanted = Math.min(BATCH, limit - events.length);
    const rows = await nextOf(context.db, subject, { after, end, count: wanted + 1 });
    const shown = rows.slice(0, wanted);
    events.push(...(await openEvents(context, findEmails, shown, subject)));
    after = shown.at(-1)?.seq ?? after;
    if (rows.length <= wanted) return { events };
    if (events.length >= limit) return { events, next: `${end}.${after}` };
    await yieldToRequests();
  }
}

/**
 * The next events of a subject, by one walk along each of two indexes. In one query SQLite would read and sort all events of the
 * subject.
 */
async function nextOf(
  db: Database,
  subject: string,
  { after, end, count }: { readonly after: number; readonly end: number; readonly count: number },
) {
  const found = new Set<number>();
  for (const column of ['subject', 'actor'] as const) {
    const walk = eventsIn(db).where(column, '=', subject).where('seq', '>', after).where('seq', '<=', end);
    for (const { seq } of await walk.orderBy('seq').limit(count).execute()) found.add(seq);
  }
  const wanted = [...found].sort((a, b) => a - b).slice(0, count);
  if (wanted.length === 0) return [];
  const rows = db.selectFrom('audit').select(['seq', 'bytes', 'subject', 'actor']).where('seq', 'in', wanted);
  return await rows.orderBy('seq').execute();
}

/**
 * The export, up to the event that is the last one when it begins. Batches are read one by one, while events are appended.
 * @param readRights Throws once the rights of the caller have ended, and the export ends: a slow reader would outlive them by hours.
 * @param turn Runs the reading of a batch when it is the caller's turn.
 */
export async function* exportLines(context: Context, readRights: () => Promise<unknown>, turn: Turn): AsyncGenerator<Buffer> {
  const { seq: end } = await lastEvent(context.db);
  yield Buffer.from(`${exportHeader(context.logId, 1, EMPTY_HEAD)}\n`);
  for (let after = 0; after < end; after += BATCH) {
    const rows = await turn(async () => {
      await readRights();
      return await context.db
        .selectFrom('audit')
        .select('bytes')
        .where('seq', '>', after)
        .where('seq', '<=', Math.min(after + BATCH, end))
        .orderBy('seq')
        .execute();
    });
    yield Buffer.concat(rows.flatMap(({ bytes }) => [bytes, LINE_FEED]));
    await yieldToRequests();
  }
}
type Turn = <T>(task: () => Promise<T>) => Promise<T>;
const LINE_FEED = Buffer.from('\n');
