/** A server whose accounts lose their rights while a request is on its way. Each account is a test's own: it may lose everything. */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { MasterKey } from '@org/model-guard';
import { decode, encode, encryptionKeyOf, PROOF_HEADER, type Role, type RouteName, unhex } from '@org/model-guard/server-kit';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, onTestFinished, vi } from 'vitest';
import { handleOf } from '../../../src/keys/key.js';
import type { KeyHandle } from '../../../src/native/binding.js';
import { call } from '../../../src/native/index.js';
import { hashPassword } from '../../src/accounts/passwords.js';
import { insertUser } from '../../src/accounts/users.js';
import { definitions } from '../../src/http/shapes.js';
import { findCurrentKey } from '../../src/keys/current-key.js';
import { PASSWORD, type RequestOptions, startTestServer, type TestServer } from './server.js';
import { freshName, Machine, Publisher, signRequest } from './story.js';

/** A model that is released. */
export const LEASED = 'leased';

/** An account of its own, which may lose everything. */
export interface Actor {
  readonly id: string;
  readonly role: Role;
  /** Its bearer token, made while all was well. */
  readonly authorization: string;
}

/** A request that would be granted. */
export interface GrantableRequest {
  readonly params?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export const expectSuccess = (answer: LightMyRequestResponse): LightMyRequestResponse => {
  if (answer.statusCode >= 300) throw new Error(answer.body);
  return answer;
};

/** The lab's server runs for all tests of the file that calls this. */
export function rightsLab() {
  let server: TestServer;
  let hashed: string;
  let publisher: Publisher;
  beforeAll(async () => {
    server = await startTestServer();
    hashed = await hashPassword(PASSWORD);
    publisher = new Publisher(server);
    await publisher.register();
    const other = new Publisher(server);
    await other.register(LEASED);
    expectSuccess(
      await server.request('admin', 'setPublishers', {
        params: { name: LEASED },
        body: { keys: [other.key.publicKey.toString()] },
      }),
    );
    await other.publish({ name: LEASED, version: '1', size: 5000 });
  });
  afterAll(() => server.close());

  async function actorOf(role: Role): Promise<Actor> {
    const profile = { email: `${randomBytes(6).toString('hex')}@example.com` };
    const { id } = await server.context.db
      .transaction()
      .execute((trx) => insertUser(server.context, trx, { profile, role, password: hashed, mustChange: false }));
    const token = await server.issue({ id, role, epoch: 0 });
    return { id, role, authorization: `Bearer ${token}` };
  }

  /** Ways in which rights end, and the code of a refusal afterwards. */
  const ENDS = {
    disabled: { status: '401 NOT_AUTHENTICATED', end: ({ id }: Actor) => change(id, { disabled: true }) },
    demoted: { status: '403 NOT_AUTHORISED', end: ({ id }: Actor) => change(id, { role: 'none' }) },
    erased: {
      status: '401 NOT_AUTHENTICATED',
      end: async ({ id }: Actor) => expectSuccess(await server.request('apiAdmin', 'eraseUser', { params: { account: id } })),
    },
    'given another password': {
      status: '401 NOT_AUTHENTICATED',
      end: ({ id }: Actor) => change(id, { password: `${PASSWORD} 2` }),
    },
    'told to change the password': { status: '403 NOT_AUTHORISED', end: ({ id }: Actor) => change(id, { mustChange: true }) },
  } as const;
  const change = async (account: string, body: NonNullable<RequestOptions<'updateUser'>['body']>) => {
    expectSuccess(await server.request('apiAdmin', 'updateUser', { params: { account }, body }));
  };

  /** Asks as the account; `before` runs when the request was let in, and its body is being read. */
  function ask(
    { authorization }: Actor,
    name: RouteName,
    { params = {}, body, headers = {} }: GrantableRequest,
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

  const machineOf = (actor: Actor): Machine => Object.assign(new Machine(server, actor.role), { as: actor });
  async function enrolment(actor: Actor): Promise<{ machine: Machine; asking: GrantableRequest }> {
    const machine = machineOf(actor);
    const challenge = expectSuccess(await ask(actor, 'challengeDevice', { body: { publicKey: machine.publicKey } })).json();
    const body = { name: 'a bench', publicKey: machine.publicKey, challenge: challenge.challenge };
    return { machine, asking: { body, headers: { [PROOF_HEADER]: machine.signEnrolment(challenge, body) } } };
  }
  /** An approved device of the account, with an entitlement. */
  async function ready(actor: Actor, kind: 'model' | 'archive', name: string): Promise<Machine> {
    const { machine, asking } = await enrolment(actor);
    expectSuccess(await ask(actor, 'enrollDevice', asking));
    expectSuccess(await machine.approve());
    expectSuccess(await server.request('admin', 'createEntitlement', { body: { kind, name, account: actor.id } }));
    return machine;
  }
  const fragmentFor = async (name: string): Promise<string> => {
    const { serverId } = server.context;
    const to = decode(encryptionKeyOf(await findCurrentKey(server.context)).slice(5));
    const key = handleOf(MasterKey.generate()) as KeyHandle;
    return encode(call((native) => native.sealFragment(key, to, unhex(serverId), name)));
  };
  const archive = async (name: string) =>
    ({ name, format: 'container', sha256: 'ab'.repeat(32), size: 10, fragment: await fragmentFor(name) }) as const;
  async function archived(): Promise<string> {
    const name = freshName('archive');
    expectSuccess(await server.request('admin', 'registerArchive', { body: await archive(name) }));
    return name;
  }
  async function proven(actor: Actor, machine: Machine, name: string): Promise<GrantableRequest> {
    const { challenge } = expectSuccess(await ask(actor, 'challengeLease', { body: {} })).json();
    const body = { device: machine.id, challenge, name };
    return { params: { name }, body, headers: { [PROOF_HEADER]: signRequest(server, machine.key, body) } };
  }
  const lease = async (actor: Actor): Promise<GrantableRequest> => proven(actor, await ready(actor, 'model', LEASED), LEASED);
  async function unlock(actor: Actor): Promise<GrantableRequest> {
    const name = await archived();
    return await proven(actor, await ready(actor, 'archive', name), name);
  }

  return {
    get server() {
      return server;
    },
    get publisher() {
      return publisher;
    },
    ENDS,
    actorOf,
    change,
    ask,
    beforeTransaction,
    machineOf,
    enrolment,
    ready,
    archive,
    archived,
    proven,
    lease,
    unlock,
  };
}
