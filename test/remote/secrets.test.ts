/**
 * Passwords go to a server that has proved its pinned key, and to no other. If these fail, a program that takes the
 * server's address, by a wrong DNS entry or a port that became free, is handed the accounts of its clients.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Route, routes, type Statement } from '../../src/contract/index.js';
import { type GuardServer, guardServer, SigningKey } from '../../src/index.js';
import { codeOf } from '../support/failures.js';
import { FakeGuard, failure, randomHex } from '../support/fake-guard.js';
import { leavesOf } from '../support/schema-walk.js';
import { useTrustLab } from '../support/trust-lab.js';

const SECRETS = { own: 'the password of a test', next: 'the next password of a test', other: 'the password of another' };
const email = 'hidden@example.com';
const user = { email, password: SECRETS.other, role: 'operator' } as const;
const account = '0'.repeat(32);

/** Written by hand: routes whose body holds a secret that the caller knows. */
const SECRET_BODIES = ['token', 'login', 'changePassword', 'createUser', 'updateUser', 'resetUserPassword'];

describe('the contract', () => {
  const all = Object.entries(routes as Readonly<Record<string, Route>>);

  it('marks the routes that carry secrets, and no others', () => {
    expect(all.filter(([, { secretBody }]) => secretBody).map(([name]) => name)).toEqual(SECRET_BODIES);
  });

  it('has no field elsewhere that is named like a secret', () => {
    const named = /password|secret|token|credential|^current$|^next$/i;
    const found = all.flatMap(([name, { body, query, params }]) =>
      [body, query, params]
        .filter((shape) => shape instanceof z.core.$ZodType)
        .flatMap((shape) => [...leavesOf(shape, name)])
        .filter((leaf) => named.test(leaf.path.split('.').at(-1) ?? ''))
        .map(() => name),
    );
    expect([...new Set(found)].sort()).toEqual([...SECRET_BODIES].sort());
  });
});

/** Everything that a client may be made to send a secret with. */
const tasks: readonly [string, (guard: GuardServer) => Promise<unknown>][] = [
  ['a log-in', (guard) => guard.login()],
  ['a request that logs in first', (guard) => guard.account.get()],
  ['a change of the own password', (guard) => guard.account.changePassword(SECRETS.own, SECRETS.next)],
  ['a new account', (guard) => guard.users.create(user)],
  ['another password of an account', (guard) => guard.users.update(account, { password: SECRETS.other })],
  ['a one-time password of an account', (guard) => guard.users.resetPassword(account, SECRETS.other)],
  ['an upload', (guard) => guard.putSmall({ name: 'net', version: '1' }, new Uint8Array(10))],
];

describe('an impostor', () => {
  const pinned = SigningKey.generate().publicKey;
  const stranger = new FakeGuard();
  let server: ReturnType<typeof createServer> | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  /** Answers every request by `answer`, and keeps all that it is sent. */
  async function listen(answer: (request: IncomingMessage) => { status?: number; json: unknown; location?: string }) {
    const heard: string[] = [];
    server = createServer((request, response) => {
      heard.push(`${request.method} ${request.url}`, ...request.rawHeaders);
      request.on('data', (piece: Buffer) => heard.push(piece.toString('latin1')));
      request.on('end', () => {
        const { status = 200, json, location } = answer(request);
        response.writeHead(status, { 'content-type': 'application/json', ...(location !== undefined && { location }) });
        response.end(JSON.stringify(json));
      });
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    return { heard, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }
  const queryOf = ({ url = '' }: IncomingMessage): URLSearchParams => new URL(url, 'http://impostor').searchParams;
  const shown = (statement: Statement, succession: readonly Statement[] = []) => ({ json: { statement, succession } });
  const token = { token: 'x', expires: 9999999999, mustChangePassword: false };
  const next = { kind: 'succession', server: stranger.id, time: 1, next: stranger.serverKey } as const;

  const answers: readonly [string, Parameters<typeof listen>[0]][] = [
    ['gives everybody a token', () => ({ json: token })],
    ['knows no such route', () => failure(404, 'NOT_FOUND') as { status: number; json: unknown }],
    ['wants a log-in first', () => failure(401, 'NOT_AUTHENTICATED') as { status: number; json: unknown }],
    ['sends elsewhere', () => ({ status: 307, json: {}, location: '/auth/token' })],
    ['signs by its own key', (request) => shown(stranger.sayKey(queryOf(request)))],
    ['puts the pinned key under it', (request) => shown({ ...stranger.sayKey(queryOf(request)), key: pinned.toString() })],
    ['names itself as the successor', (request) => shown(stranger.sayKey(queryOf(request)), [stranger.say(next)])],
  ];

  describe.each(answers)('that %s', (_, answer) => {
    it.each(tasks)('is sent no secret: %s', async (_name, task) => {
      const { heard, url } = await listen(answer);
      for (const credentials of [() => ({ email, password: SECRETS.own }), undefined]) {
        const guard = guardServer({ url, serverKey: pinned, credentials });
        const outcome = await task(guard).then(
          () => 'done',
          () => 'refused',
        );
        // Without credentials a log-in sends nothing.
        if (credentials) expect(outcome).toBe('refused');
        guard.close();
      }
      const all = heard.join('\n');
      for (const secret of [...Object.values(SECRETS), email, 'Bearer']) expect(all).not.toContain(secret);
    });
  });

  it('is told apart from a server that is not there: SERVER_UNTRUSTED', async () => {
    for (const [name, answer] of answers.slice(1).filter(([name]) => name !== 'sends elsewhere')) {
      const { url } = await listen(answer);
      const guard = guardServer({ url, serverKey: pinned, credentials: () => ({ email, password: SECRETS.own }) });
      expect(await codeOf(() => guard.login()), name).toBe('SERVER_UNTRUSTED');
      server?.closeAllConnections();
      server?.close();
    }
  });
});

describe('a server that has the pinned key', () => {
  const { fake, client, stranger, base } = useTrustLab('secrets');
  const names = () => fake.asked.map(({ name }) => name);
  const nonces = () => fake.asked.flatMap(({ name, query }) => (name === 'serverKey' ? [query.get('nonce')] : []));
  const known = { id: account, email, role: 'operator', disabled: false, mustChangePassword: false, created: 1 };
  const login = () => codeOf(() => client().guard.login());

  it('proves it before a password, with a nonce for each, and not again for a token', async () => {
    fake.on('account', () => ({ json: known }));
    fake.on('createUser', () => ({ status: 201, json: known }));
    const { guard } = client();
    await guard.account.get();
    expect(names()).toEqual(['serverKey', 'token', 'jwks', 'account']);
    await guard.account.get();
    await guard.users.create(user);
    expect(names().slice(4)).toEqual(['account', 'serverKey', 'createUser']);
    expect(new Set(nonces()).size).toBe(2);
    for (const nonce of nonces()) expect(nonce).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  it('whose place another one takes is sent no further password', async () => {
    fake.on('createUser', () => ({ status: 201, json: known }));
    const { guard } = client();
    await guard.login();
    fake.on('serverKey', ({ query }) => ({ json: { statement: fake.sayKey(query, {}, stranger), succession: [] } }));
    expect(await codeOf(() => guard.users.create(user))).toBe('SERVER_UNTRUSTED');
    expect(await codeOf(() => guard.login())).toBe('SERVER_UNTRUSTED');
    expect([fake.count('createUser'), fake.count('token')]).toEqual([0, 1]);
  });

  it('may have replaced that key by one that it names', async () => {
    const link = { kind: 'succession', server: fake.id, time: 1, next: stranger.publicKey.toString() } as const;
    fake.on('serverKey', ({ query }) => ({
      json: { statement: fake.sayKey(query, {}, stranger), succession: [fake.say(link)] },
    }));
    const { guard } = client();
    expect((await guard.login()).mustChangePassword).toBe(false);
  });

  it.each<[string, Parameters<FakeGuard['sayKey']>[1], string]>([
    ['for another nonce', { nonce: 'A'.repeat(43) }, 'SERVER_UNTRUSTED'],
    ['of yesterday', { time: fake.now - 86_400 }, 'CLOCK_SKEWED'],
  ])('and a proof %s is refused', async (_, more, code) => {
    fake.on('serverKey', ({ query }) => ({ json: { statement: fake.sayKey(query, more), succession: [] } }));
    expect(await login()).toBe(code);
    expect(fake.count('token')).toBe(0);
  });

  it('of another id is refused, once an id is known', async () => {
    const { guard } = client();
    await guard.login();
    fake.on('serverKey', ({ query }) => ({
      json: { statement: fake.sayKey(query, { server: randomHex(16) }), succession: [] },
    }));
    expect(await codeOf(() => guard.login())).toBe('SERVER_UNTRUSTED');
  });

  it('and fails once is asked again, also for what must not be done twice: nothing was done', async () => {
    fake.on('createUser', () => ({ status: 201, json: known }));
    fake.times(1, 'serverKey', () => failure(503, 'SERVER_FAILED'));
    const { guard } = client({ credentials: undefined, state: path.join(base, 'again') });
    expect((await guard.users.create(user)).email).toBe(email);
    expect(names()).toEqual(['serverKey', 'serverKey', 'createUser']);
  });
});
