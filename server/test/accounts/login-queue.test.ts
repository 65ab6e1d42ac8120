/**
 * The queue of unknown networks while an account is being guessed at, with a clock that the test moves. If these fail, an
 * attacker locks an owner out, or guesses without limit.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Transaction } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noteFailure, noteSuccess, waitOf } from '../../src/accounts/admission.js';
import type { Attempt } from '../../src/accounts/login-attempt.js';
import type { Database } from '../../src/database/connection.js';
import { openDatabase } from '../../src/database/open.js';
import type { Schema } from '../../src/database/schema.js';
import { makeDatabase, type TestDatabase } from '../support/database.js';

const START = 1_800_000_000;
const HOUR = 3600;
const DAY = 24 * HOUR;

let folder: string;
let database: TestDatabase;
let db: Database;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-turns-'));
  database = await makeDatabase();
  db = await openDatabase({ dataFolder: folder, databaseUrl: database.url });
});
afterEach(async () => {
  await db.destroy();
  await rm(folder, { recursive: true });
  await database.drop();
});

const from = (network: number): Attempt => {
  const hmac = Buffer.alloc(32);
  hmac.writeUInt32BE(network + 1);
  return { index: Buffer.alloc(32, 7), network: hmac, site: hmac };
};

/** Networks that try as often as they are allowed to. */
class Attackers {
  readonly #next: number[];
  guesses = 0;
  constructor(readonly networks: number) {
    this.#next = Array.from({ length: networks }, (_, n) => START + n * 0.001);
  }
  /** Everything that they do before `until`, in order. */
  async run(trx: Transaction<Schema>, until: number): Promise<void> {
    for (;;) {
      const time = Math.min(...this.#next);
      if (time >= until) return;
      const network = this.#next.indexOf(time);
      const now = Math.floor(time);
      const wait = await waitOf(trx, from(network), now);
      if (wait === 0) {
        this.guesses++;
        await noteFailure(trx, from(network), now);
      }
      this.#next[network] = time + Math.max(1, wait);
    }
  }
}
/** In one transaction that is given up: nothing is written to the disk. */
async function simulated(task: (trx: Transaction<Schema>) => Promise<void>): Promise<void> {
  const done = new Error('simulated');
  const running = db.transaction().execute(async (trx) => {
    await task(trx);
    throw done;
  });
  await expect(running).rejects.toBe(done);
}

describe('an account that twenty networks guess at, each as often as it may,', () => {
  it('is open to its owner at a known network, and within 15 minutes at a new one', async () => {
    await simulated(async (trx) => {
      const attackers = new Attackers(20);
      const [home, hotel] = [from(1000), from(1001)];
      await noteSuccess(trx, home, START - DAY);
      for (let now = START + 60; now < START + 2 * HOUR; now += 60) {
        await attackers.run(trx, now);
        expect(await waitOf(trx, home, now)).toBe(0);
      }
      const asked = START + 2 * HOUR;
      const wait = await waitOf(trx, hotel, asked);
      expect(wait).toBeLessThanOrEqual(900);
      await attackers.run(trx, asked + wait);
      expect(await waitOf(trx, hotel, asked + wait)).toBe(0);
    });
  });
});

describe('an account that is guessed at from very many networks', () => {
  it('takes at most 5,860 guesses of theirs in a day: 100, then one in 15 seconds', async () => {
    await simulated(async (trx) => {
      const attackers = new Attackers(120);
      await attackers.run(trx, START + 6 * HOUR);
      // In a quarter of a day; the line never stands still for long.
      expect(attackers.guesses).toBeLessThanOrEqual(100 + (6 * HOUR) / 15);
      expect(attackers.guesses).toBeGreaterThan(0.9 * ((6 * HOUR) / 15));
      expect(100 + DAY / 15).toBe(5860);
    });
  });

  it('gives a short wait where the queue is full, and keeps no place for more than 900 seconds', async () => {
    await simulated(async (trx) => {
      const attackers = new Attackers(400);
      await attackers.run(trx, START + 1);
      const wait = await waitOf(trx, from(5000), START + 1);
      expect(wait).toBeGreaterThan(0);
      expect(wait).toBeLessThanOrEqual(900);
      expect(await waitOf(trx, from(5000), START + 1 + 10 * HOUR)).toBe(0);
    });
  });

  it('takes about 105 guesses a day from one network, known or not', async () => {
    await simulated(async (trx) => {
      await noteSuccess(trx, from(0), START - HOUR);
      const attackers = new Attackers(1);
      await attackers.run(trx, START + DAY);
      expect(attackers.guesses).toBeLessThanOrEqual(105);
      expect(attackers.guesses).toBeGreaterThan(95);
    });
  });
});

describe('a clock that was ahead', () => {
  it.each([1000, DAY, 400 * DAY])('by %d seconds makes no turn later than the longest wait', async (ahead) => {
    await simulated(async (trx) => {
      const then = START + ahead;
      for (let network = 0; network < 100; network++) await noteFailure(trx, from(network), then);
      // One has a turn, one has used its turn.
      expect(await waitOf(trx, from(200), then)).toBe(15);
      expect(await waitOf(trx, from(201), then)).toBe(30);
      expect(await waitOf(trx, from(201), then + 30)).toBe(0);
      await noteFailure(trx, from(201), then + 30);
      for (const network of [200, 202]) {
        const wait = await waitOf(trx, from(network), START);
        expect(wait).toBeLessThanOrEqual(900);
        expect(await waitOf(trx, from(network), START + wait)).toBe(0);
      }
      // It rests, then has a turn of its own.
      expect(await waitOf(trx, from(201), START)).toBe(900);
      const wait = await waitOf(trx, from(201), START + 900);
      expect(wait).toBeLessThanOrEqual(900);
      expect(await waitOf(trx, from(201), START + 900 + wait)).toBe(0);
    });
  });
});
