/**
 * Three servers on one database, with one folder of keys. If these fail, replicas do not agree: on their keys, on who is logged in, on
 * the counts of requests, or on the process that finishes a rotation.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { decrypt, MasterKey, merge, SigningKey } from '@org/model-guard';
import {
  DeviceKey,
  decode,
  deviceIdOf,
  encode,
  fingerprintOf,
  PROOF_HEADER,
  readStatement,
  unhex,
} from '@org/model-guard/server-kit';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { handleOf } from '../../../src/keys/key.js';
import type { KeyHandle } from '../../../src/native/binding.js';
import { call } from '../../../src/native/index.js';
import { scaled } from '../../../test/support/sample.js';
import { seeded } from '../../../test/support/seed.js';
import { ask, demand, makeReplicas, type Replica, type Replicas } from '../support/replicas.js';
import type { TestServer } from '../support/server.js';
import { builtCommand } from '../support/server-process.js';
import { type Grant, Machine, make, signRequest } from '../support/story.js';

const ADMIN = 'admin@localhost';
const PASSWORD = 'a long phrase, never guessed';
const STARTS = scaled(10, 3);
const FRAGMENTS = scaled(2000, 400);
const LOADERS = 8;

const random = seeded('replicas');
let built: Awaited<ReturnType<typeof builtCommand>>;
let replicas: Replicas;
let a: Replica;
let b: Replica;
let c: Replica;
/** Of the administrator; made by a. */
let token: string;
let serverId: string;
/** The first signing key. */
let first: string;

beforeAll(async () => {
  built = await builtCommand();
  replicas = await makeReplicas(built.command, random);
  [a, b, c] = replicas.all as [Replica, Replica, Replica];
  const [said] = await replicas.start();
  ({ server_id: serverId = '', signing_key: first = '' } = said ?? {});
  token = await firstToken(replicas);
});
afterAll(async () => {
  await replicas?.remove();
  await built?.remove();
});

const login = async (replica: Replica, email: string, password: string): Promise<string> =>
  (await demand(replica, undefined, 'token', { body: { email, password } })).token;

async function firstToken({ all, firstPassword }: Replicas): Promise<string> {
  const [replica] = all as [Replica];
  const old = firstPassword();
  const body = { current: old, next: PASSWORD };
  await demand(replica, await login(replica, ADMIN, old), 'changePassword', { body });
  return login(replica, ADMIN, PASSWORD);
}

async function rows(database: string, query: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: database });
  await client.connect();
  try {
    return (await client.query(query)).rows;
  } finally {
    await client.end();
  }
}

/** The statement of a route about the signing key. */
const signedBy = async (replica: Replica): Promise<{ chain: string[]; key: string }> => {
  const { server, succession } = await demand(replica, token, 'server');
  readStatement('server', server, { trusted: [server.key], server: serverId });
  return { chain: succession.map(({ key }) => key), key: server.key };
};

describe('three that start at once on nothing', () => {
  it(`make one set of keys, one server and one first account, ${STARTS} times`, async () => {
    for (let n = 0; n < STARTS; n++) {
      const fresh = await makeReplicas(built.command, random);
      try {
        const said = await fresh.start();
        expect(new Set(said.map((one) => `${one.server_id} ${one.signing_key}`)).size).toBe(1);
        const names = readdirSync(join(fresh.folder, 'data', 'keys')).sort();
        const encryption = expect.stringMatching(/^encryption-[\w-]{16}\.key$/);
        expect(names).toEqual(['audit.key', 'database.json', encryption, 'field.key', 'signing.key']);
        const [made] = await rows(
          fresh.database,
          `select (select count(*)::int from users) as users, (select count(*)::int from encryption_keys) as keys,
             (select count(*)::int from audit where action = 'users.create') as events`,
        );
        expect(made).toEqual({ users: 1, keys: 1, events: 1 });
        const left = readdirSync(join(fresh.folder, 'data')).filter((name) => name.startsWith('admin-password'));
        expect(left).toEqual(['admin-password.txt']);
        for (const replica of fresh.all) expect(await login(replica, ADMIN, fresh.firstPassword())).toMatch(/^ey/);
      } finally {
        await fresh.remove();
      }
    }
  });
});

describe('a token', () => {
  const account = async (email: string) => {
    const made = await demand(a, token, 'createUser', { body: { email, password: PASSWORD, role: 'operator' } });
    const body = { current: PASSWORD, next: `${PASSWORD}, twice` };
    await demand(b, await login(b, email, PASSWORD), 'changePassword', { body });
    return {
      id: made.id,
      password: body.next,
      tokens: await Promise.all(replicas.all.map((one) => login(one, email, body.next))),
    };
  };
  const statuses = async (tokens: readonly string[]): Promise<number[]> => {
    const all = replicas.all.flatMap((replica) => tokens.map((one) => ask(replica, one, 'account')));
    return (await Promise.all(all)).map(({ status }) => status);
  };
  const nine = (status: number): number[] => Array.from({ length: 9 }, () => status);

  it('of any is one of all, and a new password at one ends them everywhere', async () => {
    const { tokens, password } = await account('one@example.com');
    expect(await statuses(tokens)).toEqual(nine(200));
    await demand(b, tokens[0], 'changePassword', { body: { current: password, next: `${PASSWORD}, again` } });
    expect(await statuses(tokens)).toEqual(nine(401));
  });

  it('ends everywhere when the account is disabled at one', async () => {
    const { id, tokens } = await account('two@example.com');
    await demand(c, token, 'updateUser', { params: { account: id }, body: { disabled: true } });
    expect(await statuses(tokens)).toEqual(nine(401));
  });

  it('names a key that every one publishes', async () => {
    const kids = await Promise.all(
      replicas.all.map(async (one) => (await demand(one, undefined, 'jwks')).keys.map(({ kid }) => kid)),
    );
    expect(kids[0]?.length).toBeGreaterThanOrEqual(3);
    expect(kids[1]).toEqual(kids[0]);
    expect(kids[2]).toEqual(kids[0]);
  });
});

describe('guesses of a password', () => {
  it('are counted together: six at three servers lock, and the right one is not told then', async () => {
    const body = { email: 'three@example.com', password: PASSWORD };
    await demand(a, token, 'createUser', { body: { ...body, role: 'operator' } });
    const wrong = replicas.all.flatMap((one) =>
      [one, one].map((at) => ask(at, undefined, 'token', { body: { ...body, password: 'x' } })),
    );
    const refused = (await Promise.all(wrong)).map(({ status }) => status);
    expect(refused.filter((status) => status === 401)).toHaveLength(5);
    expect(refused.filter((status) => status === 429)).toHaveLength(1);
    for (const one of replicas.all) expect((await ask(one, undefined, 'token', { body })).status).toBe(429);
  });
});

describe('the limit of requests', () => {
  it('is one limit for all of them together', async () => {
    const limit = 50;
    const limited = await makeReplicas(built.command, random, { 'address-limit': `${limit}` });
    try {
      await limited.start();
      const asked = limited.all.flatMap((one) => Array.from({ length: limit - 10 }, () => ask(one, undefined, 'jwks')));
      const answers = await Promise.all(asked);
      const output = limited.all.flatMap(({ process }) => process.output).join('\n');
      expect(output).not.toContain('does not count requests');
      const passed = answers.filter(({ status }) => status === 200);
      expect(passed).toHaveLength(limit);
      for (const { status, retryAfter } of answers.filter((one) => one.status !== 200)) {
        expect(status).toBe(429);
        expect(retryAfter).toBeGreaterThan(0);
        expect(retryAfter).toBeLessThanOrEqual(60);
      }
      const keys = (await rows(limited.database, 'select key from rate_counts')).map(({ key }) => String(key));
      expect(keys).toHaveLength(1);
      expect(keys.join()).not.toContain('127.0.0.1');
    } finally {
      await limited.remove();
    }
  });
});

describe('a signing key', () => {
  const publisher = SigningKey.generate();
  const device = DeviceKey.generate();
  const devicePublic = device.publicKey.toString();
  const id = deviceIdOf(devicePublic);
  let big: Uint8Array;
  let plain: Uint8Array;

  beforeAll(async () => {
    const params = { name: 'net', version: '1' };
    await demand(a, token, 'setPublishers', { params, body: { keys: [publisher.publicKey.toString()] } });
    const { keys } = readStatement('server', (await demand(b, token, 'server')).server, { trusted: [first], server: serverId });
    const made = await make({} as TestServer, { ...params, signer: publisher, recipient: keys[0]?.key ?? '' });
    ({ big, plain } = made);
    await demand(b, token, 'putPart', { params: { ...params, part: made.bigName }, body: made.big });
    await demand(c, token, 'publishVersion', { params, body: { small: encode(made.small) } });
    const { id: account } = await demand(a, token, 'account');
    await demand(a, token, 'createEntitlement', { body: { name: 'net', account, seats: 1 } });
    const challenge = await demand(a, token, 'challengeDevice', { body: { publicKey: devicePublic } });
    const body = { name: 'a bench', publicKey: devicePublic, challenge: challenge.challenge };
    const machine = Object.assign(Object.create(Machine.prototype) as Machine, { key: device, id });
    await demand(b, token, 'enrollDevice', { body, headers: { [PROOF_HEADER]: machine.signEnrolment(challenge, body) } });
    await demand(c, token, 'approveDevice', { params: { device: id }, body: { fingerprint: fingerprintOf(devicePublic) } });
  });

  /** The challenge of one is good at another. */
  async function lease(from: Replica, at: Replica): Promise<Grant> {
    const { challenge } = await demand(from, token, 'challengeLease', { body: {} });
    const body = { device: id, challenge, name: 'net' };
    const proof = signRequest({ context: { serverId } } as TestServer, device, body);
    return await demand(at, token, 'takeLease', { body, headers: { [PROOF_HEADER]: proof } });
  }

  it('that was replaced at one signs nothing more anywhere, from the answer on', async () => {
    const chain = [first];
    let over = false;
    /** By which key each lease was signed, and how long the chain was when it was asked for. */
    const signed: { readonly key: string; readonly known: number }[] = [];
    const loader = async (n: number): Promise<void> => {
      for (let turn = n; !over; turn++) {
        const known = chain.length;
        const { key } = (await lease(replicas.all[n % 3] as Replica, replicas.all[turn % 3] as Replica)).lease;
        signed.push({ key, known });
      }
    };
    const loaders = Promise.all(Array.from({ length: LOADERS }, (_, n) => loader(n)));
    try {
      for (const at of [a, b, c, a]) {
        const { key, previous } = await demand(at, token, 'rotateSigningKey', { body: {} });
        expect(previous).toBe(chain.at(-1));
        const before = [...chain];
        chain.push(key);
        for (const replica of replicas.all) {
          expect(await signedBy(replica)).toEqual({ key, chain: before });
          expect((await demand(replica, undefined, 'jwks')).statement?.key).toBe(key);
          expect((await demand(replica, token, 'latestVersion', { params: { name: 'net' } })).key).toBe(key);
          expect((await lease(a, replica)).lease.key).toBe(key);
        }
      }
    } finally {
      over = true;
      await loaders;
    }
    expect(signed.length).toBeGreaterThan(0);
    for (const { key, known } of signed) expect(chain.indexOf(key)).toBeGreaterThanOrEqual(known - 1);
    const { small } = await lease(b, c);
    const opened = await decrypt(await merge(decode(small), big), {
      identities: [device],
      verifier: publisher.publicKey,
      leaseKeys: chain.at(-1) ?? '',
    });
    expect(Buffer.compare(opened.bytes, plain)).toBe(0);
    opened.dispose();
  });

  it('of encryption is offered and used by every one as soon as one has made it', async () => {
    for (const at of replicas.all) {
      const { id: rotation, to } = await demand(at, token, 'rotateKeys', { body: { acceptSeconds: 600 } });
      for (const replica of replicas.all) {
        const { keys } = await demand(replica, token, 'keys');
        expect(keys.at(0)).toMatchObject({ key: to, state: 'current' });
        expect((await lease(replica, replica)).lease.key).toBeDefined();
      }
      for (const replica of replicas.all)
        while ((await demand(replica, token, 'getRotation', { params: { rotation } })).state === 'running');
    }
  });
});

describe('a rotation', () => {
  it('whose worker is killed is finished by another, once', async () => {
    const key = (await demand(a, token, 'keys')).keys[0]?.key ?? '';
    const secret = handleOf(MasterKey.generate()) as KeyHandle;
    const names = Array.from({ length: FRAGMENTS }, (_, n) => `archive-${n}`);
    const seal = (name: string): Uint8Array =>
      call((native) => native.sealFragment(secret, decode(key.slice('mgx1:'.length)), unhex(serverId), name));
    const client = new Client({ connectionString: replicas.database });
    await client.connect();
    await client.query(
      `insert into archives (name, format, sha256, size, fragment, wrapped_to, registered_by, created)
       select name, 'container', repeat('0', 64), 1, fragment, $3, repeat('0', 32), 0
       from unnest($1::text[], $2::bytea[]) as made (name, fragment)`,
      [names, names.map((name) => Buffer.from(seal(name))), key],
    );
    await client.end();
    const { id: rotation, to } = await demand(a, token, 'rotateKeys', { body: { acceptSeconds: 600 } });
    await a.process.kill();
    let state = await demand(b, token, 'getRotation', { params: { rotation } });
    expect(state.state).toBe('running');
    for (let n = 0; state.state === 'running'; n++)
      state = await demand(n % 2 === 0 ? b : c, token, 'getRotation', { params: { rotation } });
    expect(state).toMatchObject({ total: FRAGMENTS + 1, done: FRAGMENTS + 1 });
    const [counted] = await rows(
      replicas.database,
      `select (select count(*)::int from audit where action = 'keys.rotated' and resource = 'rotation:${rotation}') as ends,
         (select count(*)::int from archives where wrapped_to = '${to}') as wrapped`,
    );
    expect(counted).toEqual({ ends: 1, wrapped: FRAGMENTS });
    await a.process.start();
  });
});
