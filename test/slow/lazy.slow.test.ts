/**
 * One tensor of a model that is larger than the memory one would give it. If this fails, a lazy read takes memory or traffic by the size of the
 * model, or gives other bytes.
 */
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileStore, MasterKey, protect, SigningKey } from '../../src/index.js';
import { type Child, startChild } from '../support/children.js';
import { print } from '../support/print.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { type StaticServer, startStaticServer } from '../support/static-server.js';
import { temporaryFolder } from '../support/temp.js';
import { rawSafetensors } from '../support/tensor-files.js';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
/** A chunk as stored, with its tag, and the chunks below one node of the tree (docs/format.md, section 5). */
const CHUNK = 16_384 + 16;
const NODE_CHUNKS = 64;
const NODE_BYTES = 32;

const size = scaled(4096, 256) * MIB;
/** Neither begins nor ends with a chunk. */
const wanted = seeded('lazy read').bytes(MIB);
const before = Math.floor(size / 2 / MIB) * MIB + 12_345;
const folder = temporaryFolder('lazy-read');
const store = path.join(folder, 'store');
const keyFile = path.join(folder, 'key');
const signer = SigningKey.generate();
let server: StaticServer;

/** A safetensors file of `size` bytes of data, most of them a hole. */
function writeModel(file: string): void {
  const ranges = { before: [0, before], wanted: [before, before + MIB], after: [before + MIB, size] } as const;
  const entries = Object.entries(ranges).map(([name, [from, to]]) => [
    name,
    { dtype: 'U8', shape: [to - from], data_offsets: [from, to] },
  ]);
  const head = rawSafetensors(JSON.stringify(Object.fromEntries(entries)));
  const out = openSync(file, 'wx');
  writeSync(out, head);
  writeSync(out, wanted, 0, wanted.length, head.length + before);
  ftruncateSync(out, head.length + size);
  closeSync(out);
}

beforeAll(async () => {
  const source = path.join(folder, 'model.safetensors');
  writeModel(source);
  const key = MasterKey.generate();
  await key.save(keyFile);
  await protect(source, { name: 'large', version: '1', recipients: [key], signer, to: fileStore(store) });
  rmSync(source);
  server = await startStaticServer(store);
});
afterAll(() => server.close());

const partSize = (ending: RegExp): number => {
  const names = readdirSync(path.join(store, 'big')).filter((name) => ending.test(name));
  expect(names).toHaveLength(1);
  return statSync(path.join(store, 'big', names[0] ?? '')).size;
};

async function readIn(child: Child, opened: () => void = () => {}): Promise<{ readonly took: number; readonly growth: number }> {
  const baseline = Number(await child.waitFor('ready')) * KIB;
  child.say('open');
  await child.waitFor('opened');
  opened();
  child.say('read');
  const { sha256, peakKiB, took } = JSON.parse(await child.waitFor('read')) as { sha256: string; peakKiB: number; took: number };
  expect(sha256, 'the tensor has other bytes').toBe(createHash('sha256').update(wanted).digest('hex'));
  child.say('end');
  expect(await child.ended).toMatchObject({ code: 0 });
  return { took, growth: peakKiB * KIB - baseline };
}
const start = (where: string): Child =>
  startChild('lazy-reader.ts', { args: [where, keyFile, String(signer.publicKey), 'large@1', 'wanted'] });
const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;

describe('one tensor of 1 MiB of a large model', () => {
  it('is read from a folder in little memory', async () => {
    const { took, growth } = await readIn(start(store));
    print(
      `lazy read of ${mib(MIB)} of ${mib(size)} from a folder: ${took.toFixed(0)} ms, peak ${mib(growth)} above the baseline`,
    );
    expect(growth, 'memory grows with the model').toBeLessThan(50 * MIB);
  });

  it('is fetched from a web server in little memory, and with little else', async () => {
    const nodes = Math.ceil(size / 16_384 / NODE_CHUNKS) + 1;
    expect(partSize(/\.tree$/), 'the tree has another size than the format says').toBeLessThanOrEqual(NODE_BYTES * nodes);
    const small = statSync(path.join(store, 'small/large/1')).size;
    let atOpening = 0;
    const { took, growth } = await readIn(start(server.url), () => {
      atOpening = server.sent();
    });
    const fetched = server.sent() - atOpening;
    print(
      `lazy read of ${mib(MIB)} of ${mib(size)} over HTTP: ${took.toFixed(0)} ms, peak ${mib(growth)} above the baseline; opening fetched ` +
        `${atOpening} bytes (small part ${small}, tree ${partSize(/\.tree$/)}), the read ${mib(fetched)}`,
    );
    expect(growth, 'memory grows with the model').toBeLessThan(50 * MIB);
    // The small part, the tree, and the last chunk with its neighbours below one node.
    expect(atOpening, 'opening fetches more than the format needs').toBeLessThanOrEqual(
      small + NODE_BYTES * nodes + NODE_CHUNKS * CHUNK,
    );
    expect(fetched, 'the read fetches far more than it needs').toBeLessThan(4 * MIB);
    expect(fetched, 'the server does not count').toBeGreaterThanOrEqual(MIB);
  });
});
