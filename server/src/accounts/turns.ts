/**
 * The line in which networks wait that an account has never logged in from, while the account is being guessed at
 * (docs/decisions/0018-strangers-take-turns.md). A turn is a time from which one attempt is allowed. No connection is held meanwhile: the
 * answer says when to come back.
 */
import type { Transaction } from 'kysely';
import type { Connection } from '../context.js';
import type { Schema } from '../database/schema.js';
import type { Attempt } from './attempt.js';

/** Failures of one address, over all unknown networks, before they take turns. */
const FREE_FAILURES = 100;
/** After those, one attempt in this time: 5,760 a day. */
const TURN_SECONDS = 15;
/** The line is never longer than this. A turn can be used for as long, and a site has one turn in as long. */
export const LONGEST_WAIT = 900;
const FREE_SECONDS = FREE_FAILURES * TURN_SECONDS;
/** No line ends later; the clocks of a server's processes may differ by two minutes. */
const LONGEST_LINE = FREE_SECONDS + LONGEST_WAIT + 120;
/** The row that says where the line ends. */
const LINE = Buffer.alloc(0);

/**
 * The state of an attempt, as the rows have it. `end` is the time at which the line is empty and all free failures are there again: each failure
 * moves it by the seconds of one turn.
 */
interface Line {
  readonly end: number;
  readonly mine?:
    | { readonly turn: number; readonly used: boolean /** Not as it was written. */; readonly cut: boolean }
    | undefined;
}

/**
 * A clock that was ahead may have written times that no rule gives. A turn is then at the end of the longest wait, and a line counts as
 * empty.
 */
async function lineOf(connection: Connection, { index, site }: Attempt, now: number): Promise<Line> {
  const rows = await connection
    .selectFrom('login_turns')
    .select(['site', 'turn', 'used'])
    .where('email_index', '=', index)
    .where('site', 'in', [LINE, site])
    .execute();
  const tail = rows.find((row) => row.site.length === 0)?.turn ?? 0;
  const own = rows.find((row) => row.site.length > 0);
  const end = tail > now + LONGEST_LINE ? now : Math.max(tail, now);
  if (!own || own.turn + LONGEST_WAIT <= now) return { end };
  const used = own.used === 1;
  const turn = Math.min(own.turn, used ? now : now + LONGEST_WAIT);
  return { end, mine: { turn, used, cut: turn < own.turn } };
}

/** Seconds until this attempt is allowed; `join` where it must take a turn first. */
function decide({ end, mine }: Line, now: number): number | 'join' {
  if (mine) return Math.max(0, (mine.used ? mine.turn + LONGEST_WAIT : mine.turn) - now);
  return end + TURN_SECONDS <= now + FREE_SECONDS ? 0 : 'join';
}

/** Whether an attempt from an unknown network is allowed now. */
export const isTurn = async (connection: Connection, attempt: Attempt, now: number): Promise<boolean> =>
  decide(await lineOf(connection, attempt, now), now) === 0;

/** Seconds until it is, 0 for now. Gives the attempt a turn where it needs one. */
export async function waitForTurn(trx: Transaction<Schema>, attempt: Attempt, now: number): Promise<number> {
  const line = await lineOf(trx, attempt, now);
  const wait = decide(line, now);
  if (wait !== 'join') {
    // Kept as it was cut, so that the wait ends.
    if (line.mine?.cut) await put(trx, attempt.index, attempt.site, line.mine.turn, Number(line.mine.used));
    return wait;
  }
  const turn = line.end + TURN_SECONDS - FREE_SECONDS;
  // The line is full: as soon as there is a place at its end, another request may take it.
  if (turn > now + LONGEST_WAIT) return turn - now - LONGEST_WAIT;
  await put(trx, attempt.index, LINE, line.end + TURN_SECONDS);
  await put(trx, attempt.index, attempt.site, turn);
  return turn - now;
}

/** A failure of an attempt that was allowed. */
export async function spendTurn(trx: Transaction<Schema>, attempt: Attempt, now: number): Promise<void> {
  const { end, mine } = await lineOf(trx, attempt, now);
  // A turn moved the end of the line when it was given.
  if (mine) await put(trx, attempt.index, attempt.site, now, 1);
  else await put(trx, attempt.index, LINE, end + TURN_SECONDS);
}

/** A success: the site waits for nothing any more. */
export async function leaveLine(trx: Transaction<Schema>, { index, site }: Attempt): Promise<void> {
  await trx.deleteFrom('login_turns').where('email_index', '=', index).where('site', '=', site).execute();
}

/** The whole line of an address. */
export async function clearLine(trx: Transaction<Schema>, index: Buffer): Promise<void> {
  await trx.deleteFrom('login_turns').where('email_index', '=', index).execute();
}

/** Turns and lines that are over. */
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
