/** Turns rows of the log into readable events: opens boxes whose keys still exist. */
import { isModelGuardError, type RouteAnswer, text } from '@org/model-guard/server-kit';
import { z } from 'zod';
import type { Context } from '../context.js';
import type { AuditTable } from '../database/schema.js';
import { type EventDetails, MAX_BOX, openBox } from './sealed-events.js';
import type { Subject } from './subject-keys.js';

export type AuditEvent = RouteAnswer<'auditEvents'>['items'][number];
type Row = Pick<AuditTable, 'seq' | 'bytes' | 'subject' | 'actor'>;
type Keys = ReadonlyMap<string, Subject>;

/** The stored event. */
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

/**
 * The e-mail addresses of accounts, by id; with `subject`, only of the account of that subject. Erased accounts have none. `accounts/`
 * implements it.
 */
export type FindEmails = (accounts: readonly string[], subject?: string) => Promise<ReadonlyMap<string, string>>;

/** Opens events for readers of the log; with `only`, for that subject, and then nothing about another subject is opened. */
export async function openEvents(
  context: Context,
  findEmails: FindEmails,
  rows: readonly Row[],
  only?: string,
): Promise<AuditEvent[]> {
  const keys = await keysOf(context, rows);
  const opened = rows.map(({ bytes }) => {
    const event = stored.parse(JSON.parse(bytes.toString('utf8')));
    return { event, boxed: open(context, event, keys, only) };
  });
  const named = new Set(opened.flatMap(({ boxed }) => boxed?.account ?? []));
  const emails = named.size === 0 ? new Map<string, string>() : await findEmails([...named], only);
  return opened.map(({ event: { box: _, ...event }, boxed }) => ({
    ...event,
    ...(boxed && { personal: personal(boxed, emails) }),
  }));
}

/** The keys that still exist. */
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
): EventDetails | undefined {
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
    // One damaged event must not hide the rest; verifying the log finds it.
    log.error({ seq, code: error.code }, 'the box of an event cannot be opened');
    return undefined;
  }
}

const personal = ({ account, address, detail }: EventDetails, emails: ReadonlyMap<string, string>) => {
  const actor = account === undefined ? undefined : emails.get(account);
  return {
    ...(actor !== undefined && { actor }),
    ...(account !== undefined && { account }),
    ...(address !== undefined && { address }),
    ...(detail !== undefined && { detail }),
  };
};
