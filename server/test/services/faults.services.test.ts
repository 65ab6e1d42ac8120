/** Loads from a bucket over connections that go wrong: with keys, as from a web server, and by the URLs that a guard server signs. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { GetBucketPolicyCommand, PutBucketPolicyCommand } from '@aws-sdk/client-s3';
import { DeviceKey, load, MasterKey, protect, SigningKey, s3Store } from '@org/model-guard';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { httpStoreWithHooks } from '../../../src/stores/http.js';
import { bigPartOf } from '../../../src/stores/parts.js';
import { s3StoreWithHooks } from '../../../src/stores/s3/store.js';
import { type FaultProxy, startFaultProxy } from '../../../test/support/fault-proxy.js';
import { CONNECTIONS, FaultyLoads, type Lane, type Tally, table, type Way } from '../../../test/support/faulty-loads.js';
import { JumpingTime } from '../../../test/support/jumping-time.js';
import { print } from '../../../test/support/print.js';
import { scaled } from '../../../test/support/sample.js';
import { seeded } from '../../../test/support/seed.js';
import { type Bucket, type KeyPair, s3Client, s3Service } from '../../../test/support/services.js';
import { TIMEOUT_MS, TROUBLES } from '../../../test/support/troubles.js';
import { type BucketLab, startBucketLab } from '../support/bucket-lab.js';
import { clientOf, readyDevice } from '../support/clients.js';
import { entitle } from '../support/story.js';

const MIB = 2 ** 20;
const LANES = 4;
const LOADS = scaled(50, 5);
const random = seeded('loads from a bucket');
const time = new JumpingTime(() => random.integer(1000) / 1000);
const lanes: Lane[] = [];
const loads = new FaultyLoads(lanes, { random, time, rangeBytes: [MIB / 2, MIB] });
const tallies: Tally[] = [];
const version = '1';
let folder: string;
let lab: BucketLab;
/** In front of the bucket, for every client; the server has its own way there, and keeps it open. */
let proxy: FaultProxy;
/** In front of the guard server; it only tells time to wait for an answer. */
let gate: FaultProxy;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'model-guard-faults-'));
  proxy = await startFaultProxy(s3Service().endpoint, loads.plan, time);
  lab = await startBucketLab({ s3PublicEndpoint: proxy.url });
  await letEverybodyRead(lab.bucket);
  gate = await startFaultProxy(await lab.server.listen(), () => undefined);
  for (const one of [proxy, gate]) time.mind(one);
  for (let index = 0; index < LANES; index += 1) lanes.push(await lane(`net-${index}`));
});
afterAll(async () => {
  print(table(tallies));
  await lab.close();
  await gate.close();
  await proxy.close();
  await rm(folder, { recursive: true });
});

/** As a web server would. */
async function letEverybodyRead({ bucket: Bucket, ...service }: Bucket): Promise<void> {
  const client = s3Client(service, service.owner);
  const { Policy = '' } = await client.send(new GetBucketPolicyCommand({ Bucket }));
  const { Statement, ...rest } = JSON.parse(Policy) as { Statement: object[] };
  const everybody = { Effect: 'Allow', Principal: '*', Action: ['s3:GetObject'], Resource: [`arn:aws:s3:::${Bucket}/*`] };
  const changed = JSON.stringify({ ...rest, Statement: [everybody, ...Statement.slice(0, -1)] });
  await client.send(new PutBucketPolicyCommand({ Bucket, Policy: changed }));
  client.destroy();
}

/** A model of its own, published straight to the bucket and through the server. */
async function lane(name: string): Promise<Lane> {
  const { server, bucket } = lab;
  const plain = random.bytes(4 * MIB);
  const file = path.join(folder, name);
  await writeFile(file, plain);
  const signer = SigningKey.generate();
  const stored = await inBucket(name, file, signer);
  const leased = await fromGuard(name, file, signer);
  server.secrets.payload('the model', plain);
  return {
    plain,
    ways: [...stored, leased.way],
    owns: ({ url: { pathname, searchParams } }) =>
      pathname.startsWith(`/${bucket.bucket}/${name}/`) ||
      (pathname.includes(leased.bigName) && searchParams.has('X-Amz-Signature')),
  };
}

const keysOf = ({ id, secret }: KeyPair) => ({ accessKeyId: id, secretAccessKey: secret });

async function inBucket(name: string, file: string, signer: SigningKey): Promise<Way[]> {
  const { bucket, read, write, endpoint } = lab.bucket;
  const options = { bucket, prefix: name, credentials: { read: keysOf(read), write: keysOf(write) } };
  const store = s3Store({ ...options, endpoint });
  const key = MasterKey.generate();
  const ref = { name, version };
  await protect(file, { ...ref, to: store, recipients: [key], signer });
  const opening = { identities: [key], verifier: signer.publicKey, cache: false } as const;
  const patience = { timeoutMs: TIMEOUT_MS, connections: CONNECTIONS };
  const way = {
    wishes: ['small', 'facts', 'tree', 'range'],
    bigSize: bigPartOf(await store.getSmall(ref)).size,
  } as const;
  return [
    {
      ...way,
      name: 's3Store',
      load: (surroundings) =>
        load(ref, { ...opening, from: s3StoreWithHooks({ ...options, ...patience, endpoint: proxy.url }, surroundings) }),
    },
    {
      ...way,
      name: 'httpStore',
      load: (surroundings) =>
        load(ref, { ...opening, from: httpStoreWithHooks(`${proxy.url}/${bucket}/${name}`, patience, surroundings) }),
    },
  ];
}

async function fromGuard(name: string, file: string, signer: SigningKey): Promise<{ way: Way; bigName: string }> {
  const { server } = lab;
  const admin = clientOf(server, { role: 'admin' });
  await admin.publishers.set(name, [signer.publicKey]);
  await protect(file, { name, version, signer, to: admin });
  await entitle(server, 'operator', { name, seats: 10 });
  const { bigName, bigBytes: bigSize } = await admin.models.get({ name, version });
  admin.close();
  const publishers = signer.publicKey;
  const own = { device: DeviceKey.generate(), state: path.join(folder, `state-${name}`), publishers };
  const { guard } = await readyDevice(server, own);
  guard.close();
  return {
    bigName,
    way: {
      name: 'guardServer',
      wishes: ['tree', 'range'],
      bigSize,
      async load(surroundings) {
        // The bucket's clock goes on, and URLs live for minutes.
        server.clock.now = Math.floor(Date.now() / 1000);
        const from = clientOf(server, { ...own, url: gate.url, timeoutMs: TIMEOUT_MS, surroundings });
        try {
          return await load({ name, version }, { from, cache: false });
        } finally {
          from.close();
        }
      },
    },
  };
}

it.each(TROUBLES)('give the right bytes or a clear error, in time: $name', { timeout: 120_000 }, async (trouble) => {
  const tally = await loads.run(trouble, LOADS);
  tallies.push(tally);
  expect(tally.wrong).toEqual([]);
});

it('leave no connection and no timer behind', async () => {
  await expect.poll(() => time.waiting).toBe(0);
  await expect.poll(() => proxy.connections(), { timeout: 20_000 }).toBe(0);
});
