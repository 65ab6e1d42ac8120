/** From rows of the log to what people read: boxes opened, where their keys are still there. */
import { isModelGuardError, type RouteAnswer, text } from '@org/model-guard/server-kit';
import { z } from 'zod';
import { openProfile, users } from '../accounts/profiles.js';
import type { Context } from '../context.js';
import type { AuditTable } from '../database/schema.js';
import { type Boxed, MAX_BOX, openBox } from './boxes.js';
import type { Subject } from './subjects.js';

export type AuditEvent = RouteAnswer<'auditEvents'>['items'][number];
type Row = Pick<AuditTable, 'seq' | 'bytes' | 'subject' | 'actor'>;
type Keys = ReadonlyMap<string, Subject>;

/** What is stored; the log made it. */
const stored = z.object({
  seq: z.number(),
  time: text(32),
  action: text(64),
  outcome: z.enum(['success', 'failure', 'denied']),
  resource: text(400).optional(),
  request: text(64).optional(),
  subject: text(32),
  box: text(MAX_BOX),
});

/** Opened for those who may read the log; with `only`, for that subject, who is shown nothing about others. */
export async function readEvents(context: Context, rows: readonly Row[], only?: string): Promise<AuditEvent[]> {
  const keys = await keysOf(context, rows);
  const opened = rows.map(({ bytes }) => {
    const event = stored.parse(JSON.parse(bytes.toString('utf8')));
    return { event, boxed: open(context, event, keys, only) };
  });
  const emails = await emailsOf(
    context,
    opened.flatMap(({ boxed }) => boxed?.account ?? []),
    only,
  );
  return opened.map(({ event: { box: _, ...event }, boxed }) => ({
    ...event,
    ...(boxed && { personal: personal(boxed, emails) }),
  }));
}

/** The keys that are still there. */
async function keysOf({ db }: Context, rows: readonly Row[]): Promise<Keys> {
  const named = rows.flatMap(({ subject, actor }) => [subject, actor]).filter((id): id is string => id !== null);
  const wanted = [...new Set(named)];
  if (wanted.length === 0) return new Map();
  const found = await db.selectFrom('subjects').select(['id', 'wrapped']).where('id', 'in', wanted).execute();
  return new Map(found.map((subject) => [subject.id, subject]));
}

function open(
  { keys: { fields }, log }: Context,
  { seq, subject, box }: z.output<typeof stored>,
  keys: Keys,
  only: string | undefined,
): Boxed | undefined {
  const key = keys.get(subject);
  if (!key) return undefined;
  try {
    const { actor, account, ...about } = openBox(fields, seq, box, key);
    const who = account === undefined ? {} : { account };
    const what = only === undefined || only === subject ? about : {};
    const actorKey = actor && (only === undefined || only === actor.subject) ? keys.get(actor.subject) : undefined;
    return { ...who, ...what, ...(actor && actorKey && openBox(fields, seq, actor.box, actorKey)) };
  } catch (error) {
    if (!isModelGuardError(error)) throw error;
    // One damaged event must not hide the others; verifying the log finds it.
    log.error({ seq, code: error.code }, 'the box of an event cannot be opened');
    return undefined;
  }
}

const personal = ({ account, address, detail }: Boxed, emails: ReadonlyMap<string, string>) => {
  const actor = account === undefined ? undefined : emails.get(account);
  return {
    ...(actor !== undefined && { actor }),
    ...(account !== undefined && { account }),
    ...(address !== undefined && { address }),
    ...(detail !== undefined && { detail }),
  };
};

/** What accounts are called today; erased ones are called nothing. */
async function emailsOf(context: Context, accounts: readonly string[], only: string | undefined): Promise<Map<string, string>> {
  const wanted = [...new Set(accounts)];
  if (wanted.length === 0) return new Map();
  let query = users(context.db).where('users.id', 'in', wanted);
  if (only !== undefined) query = query.where('users.subject', '=', only);
  return new Map((await query.execute()).map((row) => [row.id, openProfile(context, row).email]));
}
