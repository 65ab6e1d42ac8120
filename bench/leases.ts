/**
 * How many leases a guard server hands out to 64 clients at once, how long each takes, and what bounds them: on SQLite, or with
 * replicas on PostgreSQL.
 *
 *   npx tsx bench/leases.ts
 *   MG_DURABLE=1 REPLICAS=3 node scripts/services.mjs --only postgres -- npx tsx bench/leases.ts
 *
 * Each server is a process of its own; the clients share this one. Each figure is the median of five rounds, interleaved with its
 * peers in the same run: the same HTTP server without work, commits of one row to the same kind of database, re-wrapping alone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { sqliteDriver } from '../server/src/database/sqlite/drivers/index.js';
import { encode } from '../src/base/bytes.js';
import { deviceIdOf, PROOF_HEADER, proofMessage } from '../src/contract/index.js';
import { DeviceKey, guardServer, protect, SigningKey } from '../src/index.js';
import { handleOf } from '../src/keys/key.js';
import type { KeyHandle } from '../src/native/binding.js';
import { call } from '../src/native/index.js';
import { encryptionKeyOf, issueLease } from '../src/server-kit/keys.js';

const CLIENTS = 64;
const ROUNDS = 5;
const ROUND_MS = Number(process.env.ROUND_MS ?? 4000);
/** The server's database; SQLite without it. */
const POSTGRES = process.env.MG_TEST_POSTGRES;
const REPLICAS = POSTGRES === undefined ? 1 : Number(process.env.REPLICAS ?? 1);
const COMMAND = fileURLToPath(new URL('../server/bin/model-guard-server.js', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'model-guard-bench-'));
const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
const at = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;

interface Answer {
  readonly status: number;
  readonly body: string;
}
/** Of every replica. */
const urls: string[] = [];
let token = '';

function ask(method: string, path: string, body?: string, headers: Record<string, string> = {}, client = 0): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const type = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request(
      `${urls[client % urls.length]}${path}`,
      { method, agent, headers: { authorization: `Bearer ${token}`, ...type, ...headers } },
      (answer) => {
        const pieces: Buffer[] = [];
        answer.on('data', (piece) => pieces.push(piece));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(pieces).toString() }));
        answer.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

function expectStatus({ status, body }: Answer, wanted: number): void {
  if (status !== wanted) throw new Error(`${status} instead of ${wanted}: ${body}`);
}

/** `clients` loops of `task` for one round; what each turn took, in milliseconds. */
async function round(clients: number, task: (client: number) => Promise<void>): Promise<{ rate: number; times: number[] }> {
  const times: number[] = [];
  const started = performance.now();
  const loop = async (client: number): Promise<void> => {
    while (performance.now() - started < ROUND_MS) {
      const before = performance.now();
      await task(client);
      times.push(performance.now() - before);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, client) => loop(client)));
  return { rate: (times.length * 1000) / (performance.now() - started), times };
}

async function start(): Promise<{ child: ChildProcess; serverKey: string; passwordFile: string }> {
  const limits = ['--address-limit', '--account-limit', '--login-limit'].flatMap((flag) => [flag, '1000000000']);
  const child = spawn(process.execPath, [COMMAND, '--data', join(folder, 'data'), '--port', '0', ...limits], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...(POSTGRES !== undefined && { DATABASE_URL: POSTGRES }) },
  });
  let serverKey = '';
  let passwordFile = '';
  let url = '';
  const first = urls.length === 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const record = JSON.parse(line) as { url?: string; signing_key?: string; file?: string };
    if (record.url) [url, serverKey] = [record.url, record.signing_key ?? ''];
    passwordFile = record.file ?? passwordFile;
    if (url && (passwordFile || !first)) break;
  }
  urls.push(url);
  child.stdout.resume();
  return { child, serverKey, passwordFile };
}

/** A released model and an approved device for each client, all of one account. */
async function prepare(serverKey: string, passwordFile: string) {
  const account = { email: 'admin@localhost', password: readFileSync(passwordFile, 'utf8').trim() };
  const own = { ...account, password: `${account.password}-changed` };
  let current = account;
  const options = { url: urls[0] ?? '', serverKey, credentials: () => current };
  const admin = guardServer(options);
  await admin.account.changePassword(account.password, own.password);
  current = own;
  const publisher = SigningKey.generate();
  await admin.publishers.set('m', [publisher.publicKey]);
  const source = join(folder, 'model.bin');
  writeFileSync(source, Buffer.alloc(1 << 20, 'model'));
  await protect(source, { name: 'm', version: '1', to: admin, signer: publisher });
  const { id } = await admin.account.get();
  await admin.entitlements.create({ name: 'm', account: id, seats: CLIENTS });
  const devices: { key: DeviceKey; id: string }[] = [];
  for (let i = 0; i < CLIENTS; i += 1) {
    const key = DeviceKey.generate();
    const client = guardServer({ ...options, device: key, state: join(folder, `state-${i}`) });
    const { device, fingerprint } = await client.enroll(`bench ${i}`);
    await admin.devices.approve(device.id, fingerprint);
    client.close();
    devices.push({ key, id: deviceIdOf(key.publicKey.toString()) });
  }
  token = JSON.parse((await ask('POST', '/auth/token', JSON.stringify(own))).body).token;
  const { id: serverId } = await admin.server();
  admin.close();
  return { devices, serverId };
}

/** Re-wrapping alone, as the server does it for every lease. */
async function rewrapper() {
  const [server, device, publisher, signing] = [
    DeviceKey.generate(),
    DeviceKey.generate(),
    SigningKey.generate(),
    SigningKey.generate(),
  ];
  const { memoryStore } = await import('../src/index.js');
  const store = memoryStore();
  const source = join(folder, 'model.bin');
  await protect(source, { name: 'm', version: '1', recipients: [encryptionKeyOf(server)], signer: publisher, to: store });
  const ref = { name: 'm', version: '1' };
  const small = await store.getSmall(ref);
  const now = Math.floor(Date.now() / 1000);
  const policy = { notBefore: now, notAfter: now + 60, offlineUntil: now, leaseId: '0'.repeat(32), deviceId: '0'.repeat(32) };
  const publishers = [publisher.publicKey.toString()];
  return () => issueLease({ small, ref, publishers, keys: [server], device: device.publicKey.toString(), policy, signing });
}

/** One row a commit, as durable as the server's. */
async function committer(): Promise<{ commit(): Promise<void>; end(): Promise<void> }> {
  const bytes = Buffer.alloc(500, 7);
  if (POSTGRES !== undefined) {
    const client = new Client({ connectionString: POSTGRES });
    await client.connect();
    await client.query('CREATE TABLE bench_rows (at BIGSERIAL PRIMARY KEY, bytes BYTEA)');
    const query = { name: 'insert', text: 'INSERT INTO bench_rows (bytes) VALUES ($1)', values: [bytes] };
    const size = `SELECT count(*)::int AS events, pg_total_relation_size('audit')::float AS bytes FROM audit`;
    const end = async (): Promise<void> => {
      const { rows } = await client.query<{ events: number; bytes: number }>(size);
      const [{ events, bytes: all } = { events: 0, bytes: 0 }] = rows;
      console.log(`audit log: ${events} events, ${(all / events).toFixed(0)} bytes each with their indexes`);
      await client.end();
    };
    return { commit: async () => void (await client.query(query)), end };
  }

  const database = (await sqliteDriver()).open(join(folder, 'peer.sqlite'), { busyMs: 0 });
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  database.exec('CREATE TABLE rows (at INTEGER PRIMARY KEY, bytes BLOB)');
  const insert = database.prepare('INSERT INTO rows (bytes) VALUES (?)');
  return { commit: async () => void insert.run([bytes]), end: async () => void database.close() };
}

const { child: oldest, serverKey, passwordFile } = await start();
const children = [oldest];
try {
  const { devices, serverId } = await prepare(serverKey, passwordFile);
  const rewrap = await rewrapper();
  const { commit, end } = await committer();
  while (children.length < REPLICAS) children.push((await start()).child);

  const lease = async (client: number): Promise<void> => {
    const { key, id } = devices[client] as (typeof devices)[number];
    const begun = await ask('POST', '/leases/challenge', '{}', {}, client);
    expectStatus(begun, 200);
    const { challenge } = JSON.parse(begun.body) as { challenge: string };
    const body = JSON.stringify({ device: id, challenge, name: 'm', version: '1' });
    const message = proofMessage({ serverId, challenge, deviceId: id, body: Buffer.from(body) });
    const proof = encode(call((native) => native.sign('lease-request', handleOf(key) as KeyHandle, message)));
    expectStatus(await ask('POST', '/leases', body, { [PROOF_HEADER]: proof }, client), 201);
  };
  const health = async (client: number): Promise<void> => expectStatus(await ask('GET', '/health', undefined, {}, client), 200);

  const leases: { rate: number; times: number[] }[] = [];
  const rates = { health: [] as number[], commits: [] as number[], rewraps: [] as number[] };
  for (let i = 0; i < ROUNDS; i += 1) {
    leases.push(await round(CLIENTS, lease));
    rates.health.push((await round(CLIENTS, health)).rate);
    rates.commits.push((await round(1, commit)).rate);
    rates.rewraps.push((await round(1, async () => void (await rewrap()))).rate);
  }
  const rate = median(leases.map((one) => one.rate));
  const p = (share: number): string => median(leases.map(({ times }) => at(times, share))).toFixed(0);
  const [http, commits, rewraps] = [median(rates.health), median(rates.commits), median(rates.rewraps)];
  const per = (of: number): string => (1000 / of).toFixed(2);
  await end();
  const database = POSTGRES === undefined ? 'SQLite' : `PostgreSQL, ${REPLICAS} replicas`;
  console.log(`${CLIENTS} clients, ${database}, ${ROUNDS} rounds of ${ROUND_MS / 1000} s, medians`);
  console.log(
    `  leases (challenge and request)  ${rate.toFixed(0)}/s   p50 ${p(0.5)} ms   p99 ${p(0.99)} ms   ${per(rate)} ms each`,
  );
  console.log(`  HTTP alone (GET /health)        ${http.toFixed(0)}/s   two of them: ${(2000 / http).toFixed(2)} ms`);
  console.log(`  durable commits of one row      ${commits.toFixed(0)}/s   two of them: ${(2000 / commits).toFixed(2)} ms`);
  console.log(`  re-wrapping alone, one thread   ${rewraps.toFixed(0)}/s   one: ${per(rewraps)} ms`);
  const known = 2000 / http + 2000 / commits + 1000 / rewraps;
  console.log(`  these three are ${((100 * known) / (1000 / rate)).toFixed(0)} % of a lease; the rest is the server's own work`);
  console.log(`  ratio to two commits: ${(2000 / commits / (1000 / rate)).toFixed(2)}`);
} finally {
  for (const child of children) {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }
  agent.destroy();
  rmSync(folder, { recursive: true, force: true });
}
