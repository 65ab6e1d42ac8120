/** Loads from a web server over connections that go wrong; server/test/services/faults.services.test.ts does more of it, on real storage. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fileStore, load, MasterKey, protect, SigningKey } from '../../src/index.js';
import { httpStoreWithHooks } from '../../src/stores/http.js';
import { bigPartOf } from '../../src/stores/parts.js';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.js';
import { CONNECTIONS, FaultyLoads, type Lane, type Tally, table } from '../support/faulty-loads.js';
import { JumpingTime } from '../support/jumping-time.js';
import { print } from '../support/print.js';
import { seeded } from '../support/seed.js';
import { type StaticServer, startStaticServer } from '../support/static-server.js';
import { temporaryFolder } from '../support/temp.js';
import { TIMEOUT_MS, TROUBLES } from '../support/troubles.js';

const KIB = 1024;
const LOADS = 6;
const random = seeded('loads from a web server');
const time = new JumpingTime(() => random.integer(1000) / 1000);
const folder = temporaryFolder('faults');
const tallies: Tally[] = [];
let server: StaticServer;
let proxy: FaultProxy;
let loads: FaultyLoads;

beforeAll(async () => {
  const lanes: Lane[] = [];
  for (const name of ['left', 'middle', 'right']) lanes.push(await lane(name));
  server = await startStaticServer(folder);
  loads = new FaultyLoads(lanes, { random, time, rangeBytes: [128 * KIB, 512 * KIB] });
  proxy = await startFaultProxy(server.url, loads.plan, time);
  time.mind(proxy);
});
afterAll(async () => {
  print(table(tallies));
  await proxy.close();
  await server.close();
});

async function lane(name: string): Promise<Lane> {
  const plain = random.bytes(1024 * KIB);
  const file = path.join(folder, `${name}.bin`);
  writeFileSync(file, plain);
  const [key, signer] = [MasterKey.generate(), SigningKey.generate()];
  const store = fileStore(path.join(folder, name));
  const ref = { name: 'net', version: '1' };
  await protect(file, { ...ref, to: store, recipients: [key], signer });
  return {
    plain,
    owns: ({ url }) => url.pathname.startsWith(`/${name}/`),
    ways: [
      {
        name: 'httpStore',
        wishes: ['small', 'facts', 'tree', 'range'],
        bigSize: bigPartOf(await store.getSmall(ref)).size,
        load(surroundings) {
          const options = { timeoutMs: TIMEOUT_MS, connections: CONNECTIONS };
          const from = httpStoreWithHooks(`${proxy.url}/${name}`, options, surroundings);
          return load(ref, { from, identities: [key], verifier: signer.publicKey, cache: false });
        },
      },
    ],
  };
}

it.each(TROUBLES)('gives the right bytes or a clear error, in time: $name', async (trouble) => {
  const tally = await loads.run(trouble, LOADS);
  tallies.push(tally);
  expect(tally.wrong).toEqual([]);
});

it('leaves no timer behind', async () => {
  await expect.poll(() => time.waiting).toBe(0);
});
