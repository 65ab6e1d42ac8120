/** Questions to the log, answered newest first and in pages; and the log as a whole, as it is stored. */
import { setImmediate } from 'node:timers/promises';
import { EMPTY_HEAD, exportHeader, ModelGuardError, type RouteInput } from '@org/model-guard/server-kit';
import type { Context, Member } from '../context.js';
import { type Page, type PageQuery, pageOf, splitCursor } from '../database/paging.js';
import { lastEvent } from './log.js';
import { type AuditEvent, readEvents } from './reading.js';

type Question = RouteInput<'auditEvents'>['query'];

/** Rows that are read at a time. The database answers without waiting, so between batches other requests are let through. */
const BATCH = 500;
const othersToo = (): Promise<void> => setImmediate();

/** Events, newest first. Those that come while somebody pages are on no page; nothing is given twice. */
export async function queryEvents(context: Context, member: Member, question: Question): Promise<Page<AuditEvent>> {
  const { cursor, limit, action, outcome, account, resource, since, until } = question;
  let query = context.db
    .selectFrom('audit')
    .select(['seq', 'bytes', 'subject', 'actor'])
    .where('seq', '<', startOf(cursor))
    .orderBy('seq', 'desc')
    .limit(limit + 1);
  if (action !== undefined) {
    const concern = action.replace(/\.+$/, '');
    // `auth` is `auth.login` too: from "auth." up to what follows the dot in ASCII.
    query = query.where(({ eb, and, or }) =>
      or([eb('action', '=', concern), and([eb('action', '>=', `${concern}.`), eb('action', '<', `${concern}/`)])]),
    );
  }
  if (outcome !== undefined) query = query.where('outcome', '=', outcome);
  if (resource !== undefined) query = query.where('resource', '=', resource);
  if (since !== undefined) query = query.where('time', '>=', since);
  if (until !== undefined) query = query.where('time', '<=', until);
  if (account !== undefined) {
    const subject = await subjectOf(context, account);
    query = query.where(({ eb, or }) =>
      or([
        eb('resource', '=', `account:${account}`),
        ...(subject === undefined ? [] : [eb('subject', '=', subject), eb('actor', '=', subject)]),
      ]),
    );
  }
  const rows = await query.execute();
  await context.audit.record({ action: 'audit.read', outcome: 'success', caller: member, resource: 'audit' });
  const events = new Map((await readEvents(context, rows.slice(0, limit))).map((event) => [event.seq, event]));
  return pageOf(
    rows,
    limit,
    ({ seq }) => String(seq),
    ({ seq }) => events.get(seq) as AuditEvent,
  );
}

function startOf(cursor: string | undefined): number {
  if (cursor === undefined) return Number.MAX_SAFE_INTEGER;
  if (!/^[1-9][0-9]{0,15}$/.test(cursor))
    throw new ModelGuardError('INVALID_ARGUMENT', 'query.cursor: is not a cursor of this list');
  return Number(cursor);
}

/** Undefined of an account that is erased. */
async function subjectOf({ db }: Context, account: string): Promise<string | undefined> {
  const row = await db.selectFrom('users').select('subject').where('id', '=', account).executeTakeFirst();
  return row?.subject;
}

/**
 * What is about an account or what it did, oldest first, opened with its key alone: what is about others stays closed. Pages end where
 * the log ended when the first one was asked for, so that reading does not go on because of itself.
 */
export async function eventsOf(
  context: Context,
  subject: string,
  { cursor, limit }: PageQuery,
): Promise<{ events: AuditEvent[]; next?: string }> {
  const start = cursor === undefined ? undefined : splitCursor(cursor);
  const end = start ? startOf(start.text) : (await lastEvent(context.db)).seq;
  const events: AuditEvent[] = [];
  for (let after = start?.number ?? 0; ; ) {
    const wanted = Math.min(BATCH, limit - events.length);
    const rows = await context.db
      .selectFrom('audit')
      .select(['seq', 'bytes', 'subject', 'actor'])
      .where('seq', '>', after)
      .where('seq', '<=', end)
      .where(({ eb, or }) => or([eb('subject', '=', subject), eb('actor', '=', subject)]))
      .orderBy('seq')
      .limit(wanted + 1)
      .execute();
    const shown = rows.slice(0, wanted);
    events.push(...(await readEvents(context, shown, subject)));
    after = shown.at(-1)?.seq ?? after;
    if (rows.length <= wanted) return { events };
    if (events.length >= limit) return { events, next: `${end}.${after}` };
    await othersToo();
  }
}

/** The export, up to the event that is the last one when it begins. Batches are read one by one: others write meanwhile. */
export async function* exportLines(context: Context): AsyncGenerator<Buffer> {
  const { seq: end } = await lastEvent(context.db);
  yield Buffer.from(`${exportHeader(context.logId, 1, EMPTY_HEAD)}\n`);
  for (let after = 0; after < end; after += BATCH) {
    const rows = await context.db
      .selectFrom('audit')
      .select('bytes')
      .where('seq', '>', after)
      .where('seq', '<=', Math.min(after + BATCH, end))
      .orderBy('seq')
      .execute();
    yield Buffer.concat(rows.flatMap(({ bytes }) => [bytes, LINE_FEED]));
    await othersToo();
  }
}
const LINE_FEED = Buffer.from('\n');
