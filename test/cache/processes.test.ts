/** Many processes with one cache, which fetch, find and trim at once and are killed in between. */
import { readdirSync, readFileSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { CiphertextCache } from '../../src/cache/cache.js';
import { bytesOf, keyOf, partsOf } from '../support/cached-parts.js';
import { type Child, startChild } from '../support/children.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('cache-processes');
const random = seeded('processes with one cache');
const PROCESSES = 3;
const STEPS = scaled(40, 20);
const MAX_BYTES = 1_000_000;

it('find whole parts or none, whoever is killed when', { timeout: 120_000 }, async () => {
  const folder = path.join(base, 'cache');
  const entries = path.join(folder, 'big-parts', 'v1');
  const sizes = Array.from({ length: 8 }, () => 1 + random.integer(400_000));
  const start = (): Child =>
    startChild('cache-worker.ts', {
      args: [folder, String(random.integer(2 ** 31)), String(MAX_BYTES), String(STEPS), sizes.join(',')],
    });
  let killed = 0;

  /** A worker that is killed, and one in its place that is not. */
  const run = async (): Promise<void> => {
    for (let life = 0; ; life += 1) {
      const child = start();
      const dies = life < 1 ? random.integer(STEPS) : undefined;
      await child.waitFor('ready');
      child.say('go');
      for (;;) {
        const line = await child.line();
        expect(line, 'what a process found').not.toMatch(/^wrong/);
        if (line === 'done') return;
        // The next step has begun by now: nobody knows how far it is.
        if (line === `step ${dies}`) break;
      }
      await child.kill();
      killed += 1;
    }
  };
  await Promise.all(Array.from({ length: PROCESSES }, run));
  expect(killed).toBe(PROCESSES);

  const cache = new CiphertextCache({ folder, maxBytes: MAX_BYTES });
  for (const name of readdirSync(entries).filter((one) => one.startsWith('.tmp-')))
    utimesSync(path.join(entries, name), new Date(0), new Date(0));
  await cache.trim();
  const kept = partsOf(await cache.list());
  expect(readdirSync(entries).sort(), 'what crashes left is gone').toEqual(
    kept.map(({ digest, offset }) => `${digest}-${offset}`).sort(),
  );
  expect(kept.length).toBeGreaterThan(0);
  expect(kept.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(MAX_BYTES);
  for (const { offset } of kept) {
    const key = keyOf(offset, sizes[offset] ?? 0);
    const file = await cache.find(key);
    expect(file !== undefined && Buffer.compare(readFileSync(file), bytesOf(key)) === 0, `part ${offset}`).toBe(true);
  }
});
