/** Finds, keeps and gives up parts in a cache that others use, kill and trim at the same time; tells what it found wrong. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { CiphertextCache } from '../../src/cache/cache.js';
import { bytesOf, keyOf } from '../support/cached-parts.js';
import { Random } from '../support/seed.js';
import { argument, tell, waitFor } from './dialogue.js';

const random = new Random(Number(argument(1)));
const cache = new CiphertextCache({ folder: argument(0), maxBytes: Number(argument(2)) });
const keys = argument(4)
  .split(',')
  .map((size, number) => keyOf(number, Number(size)));
tell('ready');
await waitFor('go');
for (let step = 0; step < Number(argument(3)); step += 1) {
  const key = random.pick(keys);
  const file = await cache.find(key);
  if (file !== undefined) check(file, bytesOf(key));
  else await fetch(key);
  if (random.integer(20) === 0) await cache.trim();
  tell(`step ${step}`);
}
tell('done');
process.exit(0);

function check(file: string, expected: Uint8Array): void {
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch {
    return; // removed since: a reader goes to the network then
  }
  const found = readFileSync(handle);
  closeSync(handle);
  if (Buffer.compare(found, expected) !== 0) tell(`wrong ${file}`);
}

async function fetch(key: (typeof keys)[number]): Promise<void> {
  const bytes = bytesOf(key);
  const writer = await cache.begin(key);
  const starts: number[] = [];
  for (let at = 0; at < key.size; at += 16_384) starts.push(at);
  await Promise.all(random.shuffle(starts).map((at) => writer?.write(at, bytes.subarray(at, at + 16_384))));
  if (random.integer(10) === 0) await writer?.abandon();
  else await writer?.commit();
}
