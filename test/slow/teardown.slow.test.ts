/** Several loads at once, ends at every stage of life, and a thousand lives that leave nothing behind. */
import { createHash } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fileStore, passphrase, protect } from '../../src/index.js';
import { STAGES } from '../children/stages.js';
import { startChild } from '../support/children.js';
import { type Keyring, makeKeyring } from '../support/keyring.js';
import { print } from '../support/print.js';
import { plaintextBytes, secretBytes, status } from '../support/process-memory.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const SIZE = 4_000_000;
const LARGE = 128 * 2 ** 20; // takes long enough that the end comes while work is under way
const CYCLES = 1000;
const ABORTED = 200;
const folder = temporaryFolder('teardown');
const random = seeded('teardown');
const source = path.join(folder, 'model.bin');
const store = path.join(folder, 'store');
let keys: Keyring;
let hash: string;

beforeAll(async () => {
  keys = await makeKeyring(folder, random);
  const plain = random.bytes(SIZE);
  hash = createHash('sha256').update(plain).digest('hex');
  writeFileSync(source, plain);
  const secret = await passphrase({ file: keys.files.passphrase });
  await protect(source, { name: 'net', version: '1', recipients: [keys.master, secret], to: fileStore(store) });
});

describe('several environments at once', () => {
  it('four workers load the same model at the same time', async () => {
    const times = scaled(25, 5);
    const child = startChild('workers.ts', { args: [store, keys.files.master, String(times)] });
    const hashes = (await child.waitFor('hashes')).split(',');
    expect(hashes, 'a worker saw other bytes').toEqual(Array.from({ length: 4 }, () => hash));
    expect(await child.ended).toMatchObject({ code: 0, signal: null });
    print(`workers: 4 at once, ${times} times 2 loads each, all right`);
  });
});

describe('a life that ends', () => {
  const large = path.join(folder, 'large.bin');
  const place = path.join(folder, 'large-store');
  const other = `${place}-other`;
  const args = (stage: string, how: string): string[] => [stage, how, large, place, keys.files.master, keys.files.passphrase];

  beforeAll(async () => {
    writeFileSync(large, random.bytes(LARGE));
    await protect(large, { name: 'net', version: '1', recipients: [keys.master], to: fileStore(place) });
  });

  // What was cut off in the middle of its encryption has published nothing; else it was not cut off in the middle.
  afterEach(() => {
    expect(existsSync(path.join(other, 'small')), 'the end came after the work was done').toBe(false);
    rmSync(other, { recursive: true, force: true });
  });

  it.for(Object.keys(STAGES))('by process.exit() %s', async (stage) => {
    const child = startChild('teardown.ts', { args: args(stage, 'exit') });
    await child.waitFor('reached');
    expect(await child.ended, `process.exit() ${stage} is no clean end`).toEqual({ code: 0, signal: null, stderr: '' });
  });

  it.for(Object.keys(STAGES))('by worker.terminate() %s', async (stage) => {
    const child = startChild('teardown.ts', { args: args(stage, 'terminate') });
    await child.waitFor('reached');
    await child.waitFor('healthy');
    expect(await child.ended, `worker.terminate() ${stage} is no clean end`).toEqual({ code: 0, signal: null, stderr: '' });
  });
});

describe('a thousand loads', () => {
  it('leave resident memory flat, and not one page of plaintext or key material', async () => {
    // A nursery that cannot grow, so that what grows is something that was forgotten.
    const nodeOptions = ['--expose-gc', '--max-semi-space-size=1'];
    const child = startChild('cycles.ts', { args: [store, keys.files.master], nodeOptions });
    const measure = async (word: string, times: number) => {
      child.say(`${word} ${times}`);
      await child.waitFor('measured');
      return { plain: plaintextBytes(child.pid), secret: secretBytes(child.pid), rss: status(child.pid).rssKiB };
    };
    await measure('load', 50);
    await measure('abort', 10);
    const warm = await measure('load', 50);
    const cycles = scaled(CYCLES, 100);
    const after = await measure('load', cycles);
    const aborted = await measure('abort', scaled(ABORTED, 20));
    child.say('end');
    expect(await child.ended).toMatchObject({ code: 0, signal: null });
    const mib = (kib: number): string => (kib / 1024).toFixed(1);
    print(
      `cycles: resident ${mib(warm.rss)} MiB when warm, ${mib(after.rss)} after ${cycles} loads, ${mib(aborted.rss)} after aborted ones`,
    );

    expect(after.plain, 'loads leave plaintext memory mapped').toBe(warm.plain);
    expect(aborted.plain, 'aborted loads leave plaintext memory mapped').toBe(warm.plain);
    expect(after.secret, 'loads leave secret pages mapped').toBe(warm.secret);
    expect(aborted.secret, 'aborted loads leave secret pages mapped').toBe(warm.secret);
    // Ten kilobytes forgotten in each cycle would show; the model has 4 MB.
    const bound = 10 * 1024;
    expect(after.rss - warm.rss, 'loads make the process grow').toBeLessThan(bound);
    expect(aborted.rss - after.rss, 'aborted loads make the process grow').toBeLessThan(bound);
  });
});
