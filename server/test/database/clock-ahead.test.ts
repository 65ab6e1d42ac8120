/**
 * The clock was ahead for a while and was then corrected. If these fail, times that were written meanwhile stay wrong for as
 * long.
 */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forgetOldAttempts } from '../../src/accounts/admission.js';
import { keepChallenge, newChallenge, spendChallenge } from '../../src/devices/challenges.js';
import { SharedCounts } from '../../src/http/shared-counts.js';
import { TaskLease } from '../../src/keys/task-lease.js';
import { UploadRows } from '../../src/parts/s3/upload-rows.js';
import { onPostgres } from '../support/database.js';
import { outcomeOf } from '../support/outcomes.js';
import type { TestServer } from '../support/server.js';
import { entitle, Machine, startScene, takeLease } from '../support/story.js';

const DAY = 86_400;
const AHEAD = 400 * DAY;
let server: TestServer;
beforeEach(async () => {
  ({ server } = await startScene());
});
afterEach(() => server.close());

/** Does something while the clock is ahead. */
async function ahead<Result>(task: () => Promise<Result>): Promise<Result> {
  server.clock.advance(AHEAD);
  const result = await task();
  server.clock.advance(-AHEAD);
  return result;
}

describe('after the clock was ahead', () => {
  it('a challenge from then is over, one from now lives for a minute', async () => {
    const { db, now } = server.context;
    const account = server.accounts.operator;
    const member = { account, address: '', request: '' };
    const keep = async () => {
      const challenge = { challenge: newChallenge(), purpose: 'lease-request', nonce: null } as const;
      await keepChallenge(server.context, member, challenge);
      return { ...challenge, account: account.id };
    };
    expect(await spendChallenge(db, await ahead(keep), now())).toBeUndefined();
    expect(await spendChallenge(db, await keep(), now() + 60)).toBeDefined();
  });

  it('a lease from then holds no seat', async () => {
    await entitle(server, 'operator', { seats: 1, leaseSeconds: 3600 });
    const [one, two] = [await Machine.ready(server), await Machine.ready(server)];
    await ahead(() => takeLease(one));
    expect(outcomeOf(await two.take({ name: 'defects' }))).toBe('201');
    expect(outcomeOf(await one.take({ name: 'defects' }))).toBe('409 SEATS_TAKEN');
  });

  it('a known network from then is forgotten after a month', async () => {
    const { db, now } = server.context;
    const hmac = Buffer.alloc(32, 1);
    await db
      .insertInto('known_networks')
      .values({ email_index: hmac, network: hmac, last_used: now() + AHEAD })
      .execute();
    const known = async () => (await db.selectFrom('known_networks').selectAll().execute()).length;
    await forgetOldAttempts(db, now());
    expect(await known()).toBe(1);
    await forgetOldAttempts(db, now() + 30 * DAY + 1);
    expect(await known()).toBe(0);
  });

  it('an abandoned upload from then is given up after a day', async () => {
    const { db, now } = server.context;
    const id = randomBytes(16).toString('hex');
    const times = { created: now() + AHEAD, touched: now() + AHEAD };
    const part = `${id}-1`;
    await db
      .insertInto('uploads')
      .values({
        id,
        name: 'n',
        version: '1',
        part,
        size: 1,
        piece_bytes: 1,
        storage_id: 'x',
        account: id,
        state: 'open',
        ...times,
      })
      .execute();
    const rows = new UploadRows(server.context);
    expect(await rows.claimUnused(now() - DAY)).toBeUndefined();
    server.clock.advance(DAY + 1);
    expect((await rows.claimUnused(now() - DAY))?.id).toBe(id);
  });

  it.runIf(onPostgres)('a count of requests and a claim from then do not go on', async () => {
    const { db } = server.context;
    const counts = new SharedCounts(server.context, 60);
    expect((await counts.add('login', 'a'))?.count).toBe(1);
    await db
      .updateTable('rate_counts')
      .set(({ eb }) => ({ window_end: eb('window_end', '+', AHEAD), count: 1000 }))
      .execute();
    expect(await counts.add('login', 'a')).toEqual({ count: 1, seconds: 60 });
    const [one, two] = [new TaskLease(server.context, 'a task'), new TaskLease(server.context, 'a task')];
    expect(await ahead(() => one.hold())).toBe(true);
    expect(await two.hold()).toBe(true);
  });
});
