/**
 * Queues unknown networks while an account is being guessed at (docs/decisions/0018-strangers-take-turns.md). A turn is a time
 * from which one attempt is allowed. No connection is held meanwhile: the answer tells the client when to come back.
 */
import type { Transaction } from 'kysely';
import type { Connection } from '../database/connection.js';
import type { Schema } from '../database/schema.js';
import type { Attempt } from './login-attempt.js';

/** Failures of one address, over all unknown networks, before these networks take turns. */
const FREE_FAILURES = 100;
/** Seconds for each attempt after those: 5,760 a day. */
const TURN_SECONDS = 15;
/** The longest wait in the queue, in seconds. A turn stays valid for as long, and a site has one turn in as long. */
export const LONGEST_WAIT = 900;
const FREE_SECONDS = FREE_FAILURES * TURN_SECONDS;
/** No queue ends later, in seconds from now; the clocks of a server's processes may differ by two minutes. */
const LONGEST_QUEUE = FREE_SECONDS + LONGEST_WAIT + 120;
/** The key of the row that holds the end of the queue. */
const QUEUE_END = Buffer.alloc(0);

/**
 * The state of an attempt. `end` is the time at which the queue is empty and all free failures are available again: each failure
 * moves it by the seconds of one turn.
 */
interface QueueState {
  readonly end: number;
  readonly mine?:
    | { readonly turn: number; readonly used: boolean /** The turn is shorter than its row. */; readonly cut: boolean }
    | undefined;
}

/**
 * Reads the rows. A clock that was ahead may have written impossible times: a turn is then cut to the longest wait, and a queue
 * counts as empty.
 */
async function readQueue(connection: Connection, { index, site }: Attempt, now: number): Promise<QueueState> {
  const rows = await connection
    .selectFrom('login_turns')
    .select(['site', 'turn', 'used'])
    .where('email_index', '=', index)
    .where('site', 'in', [QUEUE_END, site])
    .execute();
  const tail = rows.find((row) => row.site.length === 0)?.turn ?? 0;
  const own = rows.find((row) => row.site.length > 0);
  const end = tail > now + LONGEST_QUEUE ? now : Math.max(tail, now);
  if (!own || own.turn + LONGEST_WAIT <= now) return { end };
  const used = own.used === 1;
  const turn = Math.min(own.turn, used ? now : now + LONGEST_WAIT);
  return { end, mine: { turn, used, cut: turn < own.turn } };
}

/** Seconds until this attempt is allowed; `join` where it must take a turn first. */
function decide({ end, mine }: QueueState, now: number): number | 'join' {
  if (mine) return Math.max(0, (mine.used ? mine.turn + LONGEST_WAIT : mine.turn) - now);
  return end + TURN_SECONDS <= now + FREE_SECONDS ? 0 : 'join';
}

/** Whether an attempt from an unknown network is allowed now. */
export const isTurn = async (connection: Connection, attempt: Attempt, now: number): Promise<boolean> =>
  decide(await readQueue(connection, attempt, now), now) === 0;

/** Seconds until the attempt is allowed; 0 for now. Gives it a turn where it needs one. */
export async function waitForTurn(trx: Transaction<Schema>, attempt: Attempt, now: number): Promise<number> {
  const line = await readQueue(trx, attempt, now);
  const wait = decide(line, now);
  if (wait !== 'join') {
    // Store the shortened turn, so that the wait ends.
    if (line.mine?.cut) await put(trx, attempt.index, attempt.site, line.mine.turn, Number(line.mine.used));
    return wait;
  }
  const turn = line.end + TURN_SECONDS - FREE_SECONDS;
  // The queue is full. As soon as it has room, any request may take the place.
  if (turn > now + LONGEST_WAIT) return turn - now - LONGEST_WAIT;
  await put(trx, attempt.index, QUEUE_END, line.end + TURN_SECONDS);
  await put(trx, attempt.index, attempt.site, turn);
  return turn - now;
}

/** Uses up the turn of an attempt that was allowed and failed. */
export async function spendTurn(trx: Transaction<Schema>, attempt: Attempt, now: number): Promise<void> {
  const { end, mine } = await readQueue(trx, attempt, now);
  // The turn has moved the end of the queue when it was given.
  if (mine) await put(trx, attempt.index, attempt.site, now, 1);
  else await put(trx, attempt.index, QUEUE_END, end + TURN_SECONDS);
}

/** Removes a site from the queue after a success. */
export async function leaveQueue(trx: Transaction<Schema>, { index, site }: Attempt): Promise<void> {
  await trx.deleteFrom('login_turns').where('email_index', '=', index).where('site', '=', site).execute();
}

/** Deletes the whole queue of an address. */
export async function clearQueue(trx: Transaction<Schema>, index: Buffer): Promise<void> {
  await trx.deleteFrom('login_turns').where('email_index', '=', index).execute();
}

/** Deletes turns and queues that have expired. */
export async function forgetTurns(connection: Connection, now: number): Promise<void> {
  await connection
    .deleteFrom('login_turns')
    .where('turn', '<', now - LONGEST_WAIT)
    .execute();
}

async function put(trx: Transaction<Schema>, index: Buffer, site: Buffer, turn: number, used = 0): Promise<void> {
  await trx
    .insertInto('login_turns')
    .values({ email_index: index, site, turn, used })
    .onConflict((conflict) => conflict.columns(['email_index', 'site']).doUpdateSet({ turn, used }))
    .execute();
}
