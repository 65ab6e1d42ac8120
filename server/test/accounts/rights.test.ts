/** Rights may end while a request is on its way: what they allowed is not done any more. If these fail, a stolen or dismissed account outlives its end. */
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { MasterKey, SigningKey } from '@org/model-guard';
import {
  type AuditAction,
  decode,
  encode,
  encryptionKeyOf,
  PROOF_HEADER,
  type Role,
  type RouteName,
  unhex,
} from '@org/model-guard/server-kit';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { handleOf } from '../../../src/keys/key.js';
import type { KeyHandle } from '../../../src/native/binding.js';
import { call } from '../../../src/native/index.js';
import { hashPassword } from '../../src/accounts/passwords.js';
import { insertUser } from '../../src/accounts/users.js';
import { exportLines } from '../../src/audit/query.js';
import type { Caller } from '../../src/context.js';
import { definitions } from '../../src/http/shapes.js';
import { type Loose, PASSWORD, startTestServer, type TestServer } from '../support/server.js';
import { freshName, Machine, type Made, Publisher, said, signRequest } from '../support/story.js';

let server: TestServer;
let hashed: string;
let publisher: Publisher;
beforeAll(async () => {
  server = await startTestServer();
  hashed = await hashPassword(PASSWORD);
  publisher = new Publisher(server);
  await publisher.register();
});
afterAll(() => server.close());

/** An account of its own, which may lose everything. */
interface Actor {
  readonly id: string;
  readonly role: Role;
  /** Its bearer token, made while all was well. */
  readonly authorization: string;
}
async function actorOf(role: Role): Promise<Actor> {
  const profile = { email: `${randomBytes(6).toString('hex')}@example.com` };
  const { id } = await server.context.db
    .transaction()
    .execute((trx) => insertUser(server.context, trx, { profile, role, password: hashed, mustChange: false }));
  const token = await server.issue({ id, role, epoch: 0 });
  return { id, role, authorization: `Bearer ${token}` };
}

/** How rights end, and what is said then. */
const ENDS = {
  disabled: { status: '401 NOT_AUTHENTICATED', end: ({ id }: Actor) => change(id, { disabled: true }) },
  demoted: { status: '403 NOT_AUTHORISED', end: ({ id }: Actor) => change(id, { role: 'none' }) },
  erased: {
    status: '401 NOT_AUTHENTICATED',
    end: async ({ id }: Actor) => must(await server.request('apiAdmin', 'eraseUser', { params: { account: id } })),
  },
  'given another password': {
    status: '401 NOT_AUTHENTICATED',
    end: ({ id }: Actor) => change(id, { password: `${PASSWORD} 2` }),
  },
  'told to change the password': { status: '403 NOT_AUTHORISED', end: ({ id }: Actor) => change(id, { mustChange: true }) },
} as const;
type End = keyof typeof ENDS;
/** For every route; the other ones are seen by the same reading. */
const OF_ALL: readonly End[] = ['disabled', 'demoted', 'erased'];
const must = (answer: LightMyRequestResponse): LightMyRequestResponse => {
  if (answer.statusCode >= 300) throw new Error(answer.body);
  return answer;
};
const change = async (account: string, body: NonNullable<Loose<'updateUser'>['body']>) => {
  must(await server.request('apiAdmin', 'updateUser', { params: { account }, body }));
};

/** A request that would be granted. */
interface Asking {
  readonly params?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}
const version = ({ name, version }: Made) => ({ params: { name, version } });
const upload = async (made: Made): Promise<Made> => {
  must(await publisher.upload(made));
  return made;
};
let versions = 0;
const make = () => publisher.make({ version: `rights-${versions++}`, size: 5000 });

/** A version of an operator's that waits for a decision. */
async function pending(): Promise<Made> {
  const made = await upload(await make());
  must(await publisher.commit(made, {}, 'operator'));
  return made;
}
const machineOf = (actor: Actor): Machine => Object.assign(new Machine(server, actor.role), { as: actor });
async function ready(actor: Actor, kind: 'model' | 'archive', name: string): Promise<Machine> {
  const machine = machineOf(actor);
  const challenge = must(await ask(actor, 'challengeDevice', { body: { publicKey: machine.publicKey } })).json();
  const body = { name: 'a bench', publicKey: machine.publicKey, challenge: challenge.challenge };
  const headers = { [PROOF_HEADER]: machine.signEnrolment(challenge, body) };
  must(await ask(actor, 'enrollDevice', { body, headers }));
  must(await machine.approve());
  must(await server.request('admin', 'createEntitlement', { body: { kind, name, account: actor.id } }));
  return machine;
}
const fragmentFor = (name: string): string => {
  const { keys, serverId } = server.context;
  const key = handleOf(MasterKey.generate()) as KeyHandle;
  return encode(
    call((native) => native.sealFragment(key, decode(encryptionKeyOf(keys.current()).slice(5)), unhex(serverId), name)),
  );
};
const archive = (name: string) =>
  ({ name, format: 'container', sha256: 'ab'.repeat(32), size: 10, fragment: fragmentFor(name) }) as const;
async function archived(): Promise<string> {
  const name = freshName('archive');
  must(await server.request('admin', 'registerArchive', { body: archive(name) }));
  return name;
}
async function lease(actor: Actor): Promise<Asking> {
  const name = 'leased';
  const machine = await ready(actor, 'model', name);
  const { challenge } = must(await ask(actor, 'challengeLease', { body: {} })).json();
  const body = { device: machine.id, challenge, name };
  return { body, headers: { [PROOF_HEADER]: signRequest(server, machine.key, body) } };
}

/** Every route that changes something, with the role that asks and a request that is right. By hand: the test's own list. */
const CHANGES: Readonly<Record<string, readonly [Role, (actor: Actor) => Promise<Asking> | Asking]>> = {
  changePassword: ['operator', () => ({ body: { current: PASSWORD, next: `${PASSWORD} 3` } })],
  createUser: ['apiAdmin', () => ({ body: { email: `${freshName()}@example.com`, password: PASSWORD, role: 'apiAdmin' } })],
  updateUser: ['apiAdmin', async () => ({ params: { account: (await actorOf('none')).id }, body: { role: 'apiAdmin' } })],
  eraseUser: ['apiAdmin', async () => ({ params: { account: (await actorOf('none')).id } })],
  challengeDevice: ['operator', (actor) => ({ body: { publicKey: machineOf(actor).publicKey } })],
  enrollDevice: [
    'operator',
    async (actor) => {
      const machine = machineOf(actor);
      const challenge = must(await ask(actor, 'challengeDevice', { body: { publicKey: machine.publicKey } })).json();
      const body = { name: 'a bench', publicKey: machine.publicKey, challenge: challenge.challenge };
      return { body, headers: { [PROOF_HEADER]: machine.signEnrolment(challenge, body) } };
    },
  ],
  approveDevice: [
    'admin',
    async () => {
      const machine = new Machine(server);
      must(await machine.enrol());
      return { params: { device: machine.id }, body: { fingerprint: machine.fingerprint } };
    },
  ],
  revokeDevice: ['admin', async () => ({ params: { device: (await Machine.ready(server)).id }, body: {} })],
  createEntitlement: ['admin', () => ({ body: { name: 'defects', account: server.accounts.operator.id } })],
  deleteEntitlement: [
    'admin',
    async () => {
      const body = { name: 'defects', account: server.accounts.companion.id };
      const made = must(await server.request('admin', 'createEntitlement', { body }));
      return { params: { entitlement: made.json().id } };
    },
  ],
  setPublishers: [
    'admin',
    () => ({ params: { name: freshName() }, body: { keys: [SigningKey.generate().publicKey.toString()] } }),
  ],
  publishVersion: [
    'validator',
    async () => {
      const made = await upload(await make());
      return { ...version(made), body: { small: encode(made.small) } };
    },
  ],
  releaseVersion: [
    'validator',
    async () => {
      const made = await pending();
      return { ...version(made), body: { payloadId: made.payloadId, rollback: true } };
    },
  ],
  rejectVersion: [
    'validator',
    async () => {
      const made = await pending();
      return { ...version(made), body: { payloadId: made.payloadId } };
    },
  ],
  revokeVersion: ['validator', async () => ({ ...version(await pending()), body: {} })],
  beginUpload: [
    'operator',
    () => ({ params: { name: 'defects', version: '1', part: `${'1'.repeat(32)}-0` }, body: { size: 1 } }),
  ],
  uploadUrls: ['operator', () => ({ params: { upload: '1'.repeat(32) }, body: { numbers: [1] } })],
  completeUpload: ['operator', () => ({ params: { upload: '1'.repeat(32) }, body: {} })],
  abortUpload: ['operator', () => ({ params: { upload: '1'.repeat(32) } })],
  putPart: [
    'operator',
    async () => {
      const { name, version, bigName, big } = await make();
      return { params: { name, version, part: bigName }, body: big };
    },
  ],
  challengeLease: ['operator', () => ({ body: {} })],
  takeLease: ['operator', lease],
  revokeLease: [
    'admin',
    async () => {
      const actor = await actorOf('operator');
      const { lease: statement } = must(await ask(actor, 'takeLease', await lease(actor))).json();
      expect(statement).toBeDefined();
      const { id } = await server.context.db
        .selectFrom('leases')
        .select('id')
        .where('account', '=', actor.id)
        .executeTakeFirstOrThrow();
      return { params: { lease: id } };
    },
  ],
  registerArchive: ['resourceUploader', () => ({ body: archive(freshName('archive')) })],
  deleteArchive: ['resourceUploader', async () => ({ params: { name: await archived() } })],
  unlockArchive: [
    'operator',
    async (actor) => {
      const name = await archived();
      const machine = await ready(actor, 'archive', name);
      const { challenge } = must(await ask(actor, 'challengeLease', { body: {} })).json();
      const body = { device: machine.id, challenge, name };
      return { params: { name }, body, headers: { [PROOF_HEADER]: signRequest(server, machine.key, body) } };
    },
  ],
  rotateKeys: ['apiAdmin', () => ({ body: {} })],
  rotateSigningKey: ['apiAdmin', () => ({ body: {} })],
  // A position that no log holds: it was lost.
  stateRestored: ['apiAdmin', () => ({ body: { seq: 1_000_000, head: 'ab'.repeat(48) } })],
};
const NAMES = Object.keys(CHANGES) as RouteName[];
/** They change nothing in a transaction: challenges are rows by themselves, and the parts of this server are no bucket's. */
const WITHOUT_TRANSACTION: readonly RouteName[] = [
  'challengeDevice',
  'challengeLease',
  'uploadUrls',
  'completeUpload',
  'abortUpload',
  'putPart',
];

/** Asks as the account; `before` runs when the request was let in, and its body is being read. */
function ask(
  { authorization }: Actor,
  name: RouteName,
  { params = {}, body, headers = {} }: Asking,
  before?: () => Promise<unknown>,
): Promise<LightMyRequestResponse> {
  const { method, path } = definitions[name];
  const bytes = body instanceof Uint8Array ? Buffer.from(body) : Buffer.from(JSON.stringify(body ?? null));
  const type = body instanceof Uint8Array ? 'application/octet-stream' : 'application/json';
  async function* late() {
    await before?.();
    yield bytes;
  }
  return server.app.inject({
    method,
    url: path.replace(/:([a-z]+)/g, (_all, key: string) => params[key] ?? ''),
    headers: {
      authorization,
      ...(body !== undefined && { 'content-type': type, 'content-length': String(bytes.length) }),
      ...headers,
    },
    ...(body !== undefined && { payload: before ? Readable.from(late()) : bytes }),
  });
}

/** Runs `before` when the transaction number `nth` from now on is about to begin. */
function beforeTransaction(nth: number, before: () => Promise<unknown>): void {
  const { db } = server.context;
  const real = db.transaction.bind(db);
  let begun = 0;
  const spy = vi.spyOn(db, 'transaction').mockImplementation(() => {
    begun += 1;
    if (begun !== nth) return real();
    return {
      execute: async (task: Parameters<ReturnType<typeof real>['execute']>[0]) => {
        await before();
        return await real().execute(task);
      },
    } as ReturnType<typeof real>;
  });
  onTestFinished(() => spy.mockRestore());
}

/** Whatever a change could have left, but for what the log says of it. */
async function everything(): Promise<Record<string, unknown>> {
  const { db } = server.context;
  const tables = ['users', 'devices', 'publishers', 'versions', 'entitlements', 'leases', 'archives', 'uploads'] as const;
  const keys = ['encryption_keys', 'successions', 'rotations'] as const;
  const found: Record<string, unknown> = {};
  for (const table of [...tables, ...keys]) found[table] = await db.selectFrom(table).selectAll().execute();
  const folders = [join(server.config.dataFolder, 'parts', 'big'), server.config.keysFolder];
  for (const folder of folders) found[folder] = (await readdir(folder)).filter((name) => !name.startsWith('.tmp-')).sort();
  return found;
}

beforeAll(async () => {
  const other = new Publisher(server);
  await other.register('leased');
  must(
    await server.request('admin', 'setPublishers', {
      params: { name: 'leased' },
      body: { keys: [other.key.publicKey.toString()] },
    }),
  );
  await other.publish({ name: 'leased', version: '1', size: 5000 });
});

describe('a change whose account loses its rights', () => {
  it('is looked at for every route that changes something', () => {
    const changing = Object.entries(definitions).filter(
      ([, { method, access }]) => method !== 'GET' && access !== 'open' && access !== 'signed-url',
    );
    expect([...NAMES].sort()).toEqual(changing.map(([name]) => name).sort());
  });

  const held = async (name: RouteName, how: End): Promise<void> => {
    const [role, prepare] = CHANGES[name] as (typeof CHANGES)[string];
    const actor = await actorOf(role);
    const asking = await prepare(actor);
    let before: Record<string, unknown> = {};
    const answer = await ask(actor, name, asking, async () => {
      await ENDS[how].end(actor);
      before = await everything();
    });
    expect(`${how}: ${said(answer)}`).toBe(`${how}: ${ENDS[how].status}`);
    expect(await everything(), how).toEqual(before);
  };
  // Without a body, nothing is on its way after the headers.
  const withBody = NAMES.filter((name) => definitions[name].body !== undefined);
  it.each(withBody)('while its body is on the way is refused, and changes nothing: %s', (name) => held(name, 'disabled'));
  it.each(Object.keys(ENDS) as End[])('while its body is on the way is refused where the account is %s', (how) =>
    held('createUser', how),
  );

  it.each(NAMES.filter((name) => !WITHOUT_TRANSACTION.includes(name)))(
    'just before its commit is refused, and changes nothing: %s',
    async (name) => {
      const [role, prepare] = CHANGES[name] as (typeof CHANGES)[string];
      for (const how of OF_ALL) {
        // Everybody may do that.
        if (name === 'changePassword' && how === 'demoted') continue;
        const { end, status } = ENDS[how];
        const actor = await actorOf(role);
        const asking = await prepare(actor);
        let before: Record<string, unknown> | undefined;
        beforeTransaction(1, async () => {
          await end(actor);
          before = await everything();
        });
        const answer = await ask(actor, name, asking);
        expect(`${how}: ${said(answer)}`).toBe(`${how}: ${status}`);
        expect(before, how).toBeDefined();
        const after = await everything();
        // A new key's file is made before its row.
        const { [server.config.keysFolder]: _files, ...rows } = before ?? {};
        expect(after, how).toMatchObject(rows);
        vi.restoreAllMocks();
      }
    },
  );

  it('at the last byte of a part leaves no part', async () => {
    for (const how of OF_ALL) {
      const { end, status } = ENDS[how];
      const actor = await actorOf('operator');
      const made = await make();
      const { parts } = server.context;
      const put = parts.put.bind(parts);
      // Whatever looked at the rights before the part was read has let it through.
      const spy = vi.spyOn(parts, 'put').mockImplementation(async (...given) => {
        await end(actor);
        await put(...given);
      });
      const params = { name: made.name, version: made.version, part: made.bigName };
      const answer = await ask(actor, 'putPart', { params, body: made.big });
      spy.mockRestore();
      expect(`${how}: ${said(answer)}`).toBe(`${how}: ${status}`);
      expect(await server.context.parts.find(made.bigName)).toBeUndefined();
    }
  });

  it('is in the audit log as denied', async () => {
    const actor = await actorOf('apiAdmin');
    const body = { email: 'never@example.com', password: PASSWORD, role: 'apiAdmin' };
    await ask(actor, 'createUser', { body }, () => ENDS.disabled.end(actor));
    const events = async (action: AuditAction) =>
      (await server.request('apiAdmin', 'auditEvents', { query: { action, account: actor.id } })).json().items;
    expect(await events('authz.denied')).toMatchObject([{ outcome: 'denied', resource: 'route:createUser' }]);
    expect(await events('users.create')).toEqual([]);
  });
});

describe('a validator who is an operator by the time of the commit', () => {
  const demoted = async (actor: Actor) => change(actor.id, { role: 'operator' });

  it('publishes what waits for a decision', async () => {
    const actor = await actorOf('validator');
    const made = await upload(await make());
    beforeTransaction(1, () => demoted(actor));
    const answer = must(await ask(actor, 'publishVersion', { ...version(made), body: { small: encode(made.small) } }));
    expect(answer.json().state).toBe('pending');
    const query = { resource: `model:defects@${made.version}` };
    const events = (await server.request('apiAdmin', 'auditEvents', { query })).json().items;
    expect(events.map(({ action }: { action: string }) => action)).toEqual(['models.publish']);
  });

  it('does not replace what was released', async () => {
    const actor = await actorOf('validator');
    const made = await publisher.make({ version: 'released-before', size: 5000 });
    for (const answer of [await publisher.upload(made), await publisher.commit(made)]) must(answer);
    const other = await upload(await publisher.make({ version: 'released-before', size: 5000 }));
    beforeTransaction(1, () => demoted(actor));
    const body = { small: encode(other.small), overwrite: true };
    expect(said(await ask(actor, 'publishVersion', { ...version(other), body }))).toBe('403 NOT_AUTHORISED');
  });
});

describe('what is granted to a device, and ends before it is answered', () => {
  const model = 'leased';
  /** `id`: of the device. */
  const ENDINGS: Readonly<Record<string, readonly [string, (actor: Actor, machine: string) => Promise<unknown>]>> = {
    'the account is disabled': ['401 NOT_AUTHENTICATED', ENDS.disabled.end],
    'the account is demoted': ['403 NOT_AUTHORISED', ENDS.demoted.end],
    'the account is erased': ['401 NOT_AUTHENTICATED', ENDS.erased.end],
    'the device is revoked': [
      '403 DEVICE_REVOKED',
      async (_actor, device) => must(await server.request('admin', 'revokeDevice', { params: { device }, body: {} })),
    ],
    'the entitlement is deleted': [
      '403 NOT_AUTHORISED',
      async ({ id: account }) => {
        const query = { account, limit: 10 };
        const [found] = (await server.request('admin', 'listEntitlements', { query })).json().items;
        must(await server.request('admin', 'deleteEntitlement', { params: { entitlement: found.id } }));
      },
    ],
  };
  const OF_MODELS: typeof ENDINGS = {
    ...ENDINGS,
    'the publisher is removed': [
      '409 SIGNATURE_INVALID',
      async () => {
        const keys = [SigningKey.generate().publicKey.toString()];
        const before = (await server.request('admin', 'getPublishers', { params: { name: model } })).json();
        must(await server.request('admin', 'setPublishers', { params: { name: model }, body: { keys } }));
        onTestFinished(async () => {
          must(await server.request('admin', 'setPublishers', { params: { name: model }, body: before }));
        });
      },
    ],
    // Its leases end with it: the version is the reason that helps.
    'the version is revoked': [
      '409 NOT_RELEASED',
      async () => {
        const [found] = (await server.request('admin', 'listVersions', { query: { name: model, limit: 1 } })).json().items;
        must(await server.request('validator', 'revokeVersion', { params: { name: model, version: found.version }, body: {} }));
        onTestFinished(async () => {
          await server.context.db.updateTable('versions').set({ state: 'released' }).where('name', '=', model).execute();
        });
      },
    ],
    'the version is not released any more': [
      '409 NOT_RELEASED',
      async () => {
        const state = (to: 'released' | 'rejected') =>
          server.context.db.updateTable('versions').set({ state: to }).where('name', '=', model).execute();
        await state('rejected');
        onTestFinished(async () => {
          await state('released');
        });
      },
    ],
  };

  it.each(Object.keys(OF_MODELS))('is not answered as a lease: %s', async (why) => {
    const [status, end] = OF_MODELS[why] as (typeof OF_MODELS)[string];
    const actor = await actorOf('operator');
    const asking = await lease(actor);
    const { device } = asking.body as { device: string };
    // The checkpoint that goes with a lease is made anew, in a transaction: after that of the seat.
    server.clock.advance(10);
    beforeTransaction(2, () => end(actor, device));
    expect(said(await ask(actor, 'takeLease', asking))).toBe(status);
    const active = await server.context.db
      .selectFrom('leases')
      .selectAll()
      .where('device', '=', device)
      .where('revoked', '=', 0)
      .execute();
    expect(active).toEqual([]);
  });

  it.each(Object.keys(ENDINGS))('is not answered as a fragment: %s', async (why) => {
    const [status, end] = ENDINGS[why] as (typeof ENDINGS)[string];
    const actor = await actorOf('operator');
    const asking = await (CHANGES.unlockArchive as (typeof CHANGES)[string])[1](actor);
    const { device, name } = asking.body as { device: string; name: string };
    server.clock.advance(10);
    beforeTransaction(2, () => end(actor, device));
    const answer = await ask(actor, 'unlockArchive', asking);
    expect(said(answer)).toBe(status);
    expect(answer.body).not.toContain('fragment');
    const query = { resource: `archive:${name}`, action: 'archives.unlock' } as const;
    const [newest] = (await server.request('apiAdmin', 'auditEvents', { query })).json().items;
    expect(newest).toMatchObject({ outcome: 'denied' });
  });

  it('is answered where the device has taken another lease of the model meanwhile', async () => {
    const actor = await actorOf('operator');
    const machine = await ready(actor, 'model', model);
    const asked = async (): Promise<Asking> => {
      const { challenge } = must(await ask(actor, 'challengeLease', { body: {} })).json();
      const body = { device: machine.id, challenge, name: model };
      return { body, headers: { [PROOF_HEADER]: signRequest(server, machine.key, body) } };
    };
    const [first, second] = [await asked(), await asked()];
    const { keys } = server.context;
    const newest = keys.newest.bind(keys);
    // When the seat is taken, and the lease is about to be signed.
    const spy = vi.spyOn(keys, 'newest').mockImplementationOnce(async (connection) => {
      must(await ask(actor, 'takeLease', second));
      return await newest(connection);
    });
    onTestFinished(() => spy.mockRestore());
    expect(said(await ask(actor, 'takeLease', first))).toBe('201');
  });
});

describe('an export of the audit log', () => {
  it('breaks off where the account loses its rights', async () => {
    const actor = await actorOf('admin');
    const { subject } = await server.context.db
      .selectFrom('users')
      .select('subject')
      .where('id', '=', actor.id)
      .executeTakeFirstOrThrow();
    const caller: Caller = {
      account: { id: actor.id, subject, role: 'admin' },
      rights: { epoch: 0, access: 'audit.read' },
      address: '',
      request: 'r',
    };
    const lines = exportLines(server.context, caller, (task) => task());
    expect((await lines.next()).done).toBe(false);
    await ENDS.demoted.end(actor);
    await expect(lines.next()).rejects.toMatchObject({ code: 'NOT_AUTHORISED' });
  });
});
