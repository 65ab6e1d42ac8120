/** Logging in. If these fail, passwords can be guessed, or answers tell which addresses have accounts. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockSeconds } from '../../src/accounts/login-failures.js';
import { login, PASSWORD, startTestServer, type TestServer } from '../support/server.js';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.close());

const times = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('logging in', () => {
  it('gives a token that works, by either path', async () => {
    for (const name of ['token', 'login'] as const) {
      const answer = await server.request(undefined, name, { body: { email: 'operator@example.com', password: PASSWORD } });
      expect(answer.statusCode).toBe(200);
      const { token, expires, mustChangePassword } = answer.json();
      expect(expires).toBe(server.clock.now + 900);
      expect(mustChangePassword).toBe(false);
      const own = await server.request(undefined, 'account', { headers: { authorization: `Bearer ${token}` } });
      expect(own.json()).toMatchObject({ email: 'operator@example.com', role: 'operator', name: 'operator' });
    }
  });

  it('answers a wrong password, an unknown address and a disabled account alike', async () => {
    await server.request('apiAdmin', 'updateUser', {
      params: { account: server.accounts.companion.id },
      body: { disabled: true },
    });
    const answers = [
      await login(server, 'operator@example.com', 'wrong'),
      await login(server, 'unknown@example.com', PASSWORD),
      await login(server, 'companion@example.com', PASSWORD),
    ];
    for (const answer of answers) {
      expect(answer.statusCode).toBe(401);
      expect(answer.headers['www-authenticate']).toBe('Bearer');
      const { request: _, ...error } = answer.json().error;
      expect(error).toEqual({ code: 'NOT_AUTHENTICATED', message: expect.stringContaining('is wrong') });
    }
  });

  it.each(['operator@example.com', 'unknown@example.com'])(
    'locks %s after five failures, for longer each time',
    async (email) => {
      for (const _ of times(5)) expect((await login(server, email, 'wrong')).statusCode).toBe(401);
      const locked = await login(server, email, PASSWORD);
      expect(locked.statusCode).toBe(429);
      expect(locked.headers['retry-after']).toBe('30');
      expect(locked.json().error.code).toBe('RATE_LIMITED');
      server.clock.advance(30);
      expect((await login(server, email, 'wrong')).statusCode).toBe(401);
      expect((await login(server, email, PASSWORD)).headers['retry-after']).toBe('60');
    },
  );

  it('forgets failures with a success, and after a day', async () => {
    for (const _ of times(4)) await login(server, 'operator@example.com', 'wrong');
    expect((await login(server, 'operator@example.com', PASSWORD)).statusCode).toBe(200);
    for (const _ of times(4)) expect((await login(server, 'operator@example.com', 'wrong')).statusCode).toBe(401);
    server.clock.advance(86_401);
    for (const _ of times(4)) expect((await login(server, 'operator@example.com', 'wrong')).statusCode).toBe(401);
  });

  it('counts guesses that come at once', async () => {
    const answers = await Promise.all(times(12).map(() => login(server, 'operator@example.com', 'wrong')));
    const statuses = answers.map(({ statusCode }) => statusCode);
    expect(statuses.filter((status) => status === 401)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(7);
  });

  it('counts where the clock of the replica that counts is behind the one that counted before', async () => {
    server.clock.advance(60);
    for (const _ of times(2)) expect((await login(server, 'operator@example.com', 'wrong')).statusCode).toBe(401);
    server.clock.advance(-60);
    for (const _ of times(3)) expect((await login(server, 'operator@example.com', 'wrong')).statusCode).toBe(401);
    expect((await login(server, 'operator@example.com', PASSWORD)).statusCode).toBe(429);
  });

  it('lets many log in at once with the right password', async () => {
    const answers = await Promise.all(times(12).map(() => login(server, 'operator@example.com', PASSWORD)));
    for (const { statusCode } of answers) expect(statusCode).toBe(200);
  });

  describe('from several networks', () => {
    const from = (remoteAddress: string, email: string, password: string) =>
      server.app.inject({ method: 'POST', url: '/auth/token', remoteAddress, payload: { email, password } });

    it('locks the guessing network, and not that of the owner', async () => {
      for (const email of ['operator@example.com', 'unknown@example.com']) {
        for (const _ of times(5)) expect((await from('203.0.113.7', email, 'wrong')).statusCode).toBe(401);
        expect((await from('203.0.113.7', email, PASSWORD)).statusCode).toBe(429);
      }
      expect((await from('198.51.100.1', 'operator@example.com', PASSWORD)).statusCode).toBe(200);
      expect((await from('198.51.100.1', 'unknown@example.com', PASSWORD)).statusCode).toBe(401);
      // A success elsewhere forgives the guesser nothing.
      expect((await from('203.0.113.7', 'operator@example.com', PASSWORD)).statusCode).toBe(429);
    });

    /** All free failures, from elsewhere: the last one is made, the ones before it are written into the table. */
    const underAttack = async (email: string): Promise<void> => {
      expect((await from('203.0.113.1', email, 'wrong')).statusCode).toBe(401);
      const index = Buffer.from(server.context.keys.fields.emailIndex(email));
      await server.context.db
        .updateTable('login_turns')
        .set({ turn: server.clock.now + 1500 })
        .where('email_index', '=', index)
        .where('site', '=', Buffer.alloc(0))
        .execute();
    };
    const waits = ({ statusCode, headers }: { statusCode: number; headers: Record<string, unknown> }) => [
      statusCode,
      Number(headers['retry-after']),
    ];

    it.each(['operator@example.com', 'unknown@example.com'])(
      'lets strangers at %s take turns of 15 seconds after a hundred failures, and each of them once in 15 minutes',
      async (email) => {
        await underAttack(email);
        expect(waits(await from('203.0.113.2', email, 'wrong'))).toEqual([429, 15]);
        expect(waits(await from('203.0.113.3', email, 'wrong'))).toEqual([429, 30]);
        // Of one customer of a provider, whatever network of it is used.
        expect(waits(await from('2001:db8:1:1::1', email, 'wrong'))).toEqual([429, 45]);
        expect(waits(await from('2001:db8:1:ffff::1', email, 'wrong'))).toEqual([429, 45]);
        // Asking again moves nothing.
        expect(waits(await from('203.0.113.2', email, 'wrong'))).toEqual([429, 15]);
        server.clock.advance(15);
        expect((await from('203.0.113.2', email, 'wrong')).statusCode).toBe(401);
        expect(waits(await from('203.0.113.2', email, 'wrong'))).toEqual([429, 900]);
        // A turn waits for the one that has it.
        server.clock.advance(800);
        const late = await from('203.0.113.3', email, PASSWORD);
        expect(late.statusCode).toBe(email.startsWith('unknown') ? 401 : 200);
      },
    );

    it('never slows a network from which the account has logged in, and slows a new one of the owner once', async () => {
      const email = 'operator@example.com';
      expect((await from('198.51.100.1', email, PASSWORD)).statusCode).toBe(200);
      await underAttack(email);
      for (const last of times(20)) await from(`203.0.113.${last + 2}`, email, 'wrong');
      expect((await from('198.51.100.1', email, PASSWORD)).statusCode).toBe(200);
      const [status, wait = 0] = waits(await from('198.51.100.2', email, PASSWORD));
      expect([status, wait]).toEqual([429, 21 * 15]);
      server.clock.advance(wait);
      expect((await from('198.51.100.2', email, PASSWORD)).statusCode).toBe(200);
      // From now on it is known.
      expect((await from('198.51.100.2', email, PASSWORD)).statusCode).toBe(200);
      // Its own failures lock it all the same.
      for (const _ of times(5)) expect((await from('198.51.100.1', email, 'wrong')).statusCode).toBe(401);
      expect(waits(await from('198.51.100.1', email, PASSWORD))).toEqual([429, 30]);
    });

    it('forgets known networks after a month, beyond sixteen, and with another password', async () => {
      const email = 'operator@example.com';
      const index = Buffer.from(server.context.keys.fields.emailIndex(email));
      const known = async () =>
        (await server.context.db.selectFrom('known_networks').selectAll().where('email_index', '=', index).execute()).length;
      for (const last of times(20)) {
        server.clock.advance(1);
        await from(`198.51.100.${last}`, email, PASSWORD);
      }
      expect(await known()).toBe(16);
      await underAttack(email);
      expect((await from('198.51.100.3', email, PASSWORD)).statusCode).toBe(429);
      expect((await from('198.51.100.4', email, PASSWORD)).statusCode).toBe(200);
      const changed = await server.app.inject({
        method: 'POST',
        url: '/account/password',
        remoteAddress: '198.51.100.4',
        headers: { authorization: `Bearer ${await server.token('operator')}` },
        payload: { current: PASSWORD, next: 'another phrase that is long' },
      });
      expect(changed.statusCode).toBe(204);
      expect(await known()).toBe(1);
      server.clock.advance(30 * 86_400 + 1);
      await server.context.cleanup.run();
      expect(await known()).toBe(0);
      await from('198.51.100.4', email, 'another phrase that is long');
      const account = server.accounts.operator.id;
      await server.request('apiAdmin', 'updateUser', { params: { account }, body: { password: PASSWORD } });
      expect(await known()).toBe(0);
    });
  });

  it('keeps no failure for longer than a day, even without new failures', async () => {
    await login(server, 'unknown@example.com', 'wrong');
    const count = async (table: 'login_failures' | 'login_turns') =>
      (await server.context.db.selectFrom(table).selectAll().execute()).length;
    const kept = async () => (await count('login_failures')) + (await count('login_turns'));
    expect(await kept()).toBe(2);
    server.clock.advance(86_401);
    await server.context.cleanup.run();
    expect(await kept()).toBe(0);
  });

  describe('where the clock was ahead for a while', () => {
    it.each([100, 86_400, 400 * 86_400])(
      'by %d seconds, a lock from then lasts no longer than the longest one',
      async (ahead) => {
        const email = 'operator@example.com';
        server.clock.advance(ahead);
        for (const _ of times(5)) await login(server, email, 'wrong');
        const index = Buffer.from(server.context.keys.fields.emailIndex(email));
        // As after many failures.
        await server.context.db
          .updateTable('login_failures')
          .set({ failures: 14, locked_until: server.clock.now + 900 })
          .where('email_index', '=', index)
          .execute();
        server.clock.advance(-ahead);
        const locked = await login(server, email, PASSWORD);
        expect([locked.statusCode, locked.headers['retry-after']]).toEqual([429, '900']);
        server.clock.advance(450);
        expect((await login(server, email, PASSWORD)).headers['retry-after']).toBe('450');
        server.clock.advance(450);
        expect((await login(server, email, PASSWORD)).statusCode).toBe(200);
      },
    );
  });

  it('keeps a lock over a restart', async () => {
    for (const _ of times(5)) await login(server, 'operator@example.com', 'wrong');
    server = await server.restart();
    expect((await login(server, 'operator@example.com', PASSWORD)).statusCode).toBe(429);
  });

  it('locks for 30 seconds to 15 minutes', () => {
    expect([0, 4, 5, 6, 9, 10, 1000].map(lockSeconds)).toEqual([0, 0, 30, 60, 480, 900, 900]);
  });

  it('records the address of each attempt, and no password', async () => {
    await login(server, 'operator@example.com', PASSWORD);
    await login(server, 'operator@example.com', 'a wrong pass phrase');
    await login(server, 'unknown@example.com', 'another wrong pass phrase');
    const page = await server.request('apiAdmin', 'auditEvents', { query: { action: 'auth.login' } });
    const events: { outcome: string; personal?: { detail?: string; account?: string } }[] = page.json().items;
    expect(events.map(({ outcome }) => outcome).sort()).toEqual(['failure', 'failure', 'success']);
    expect(events.filter(({ personal }) => personal?.detail?.includes('unknown@example.com'))).toHaveLength(1);
    expect(page.body).not.toMatch(/pass phrase/);
    expect(JSON.stringify(server.logged)).not.toMatch(/pass phrase|example\.com/);
  });
});

describe('addresses', () => {
  const create = (email: string) =>
    server.request('apiAdmin', 'createUser', { body: { email, password: PASSWORD, role: 'operator' } });

  it('are the same in any case and either normal form', async () => {
    expect((await create('Jos\u00e9@Example.com')).statusCode).toBe(201);
    expect((await create('jose\u0301@example.com')).json().error.code).toBe('ALREADY_EXISTS');
    expect((await login(server, 'JOSE\u0301@EXAMPLE.COM', PASSWORD)).statusCode).toBe(200);
  });

  it.each([
    ['a full-width letter', '\uff4fperator@example.com'],
    ['a Cyrillic letter', '\u043eperator@example.com'],
    ['a ligature', 'o\ufb03ce@example.com'],
    ['a zero-width space', 'oper\u200bator@example.com'],
  ])('that only look alike are of another account: %s', async (_what, email) => {
    await create('office@example.com');
    expect((await login(server, email, PASSWORD)).statusCode).toBe(401);
    expect((await create(email)).statusCode).toBe(201);
    expect((await login(server, email, PASSWORD)).statusCode).toBe(200);
    const own = await server.request('operator', 'account');
    expect(own.json().email).toBe('operator@example.com');
  });
});
