/** Devices: enrolment needs both private keys, approval needs the compared fingerprint, and revocation is final. */
import { encode, PROOF_HEADER } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { outcomeOf } from '../support/outcomes.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { flipped, Machine, type ProofOverrides } from '../support/story.js';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** Enrolments with one wrong value each. */
async function enrolWith(
  machine: Machine,
  lies: ProofOverrides,
  tamper: (proof: string) => string = (proof) => proof,
): Promise<string> {
  const challenge = await machine.challenge();
  const body = { name: 'bench', publicKey: machine.publicKey, challenge: challenge.challenge };
  const headers = { [PROOF_HEADER]: tamper(machine.signEnrolment(challenge, body, lies)) };
  return outcomeOf(await server.request(machine.role, 'enrollDevice', { body, headers }));
}

describe('enrolment', () => {
  it('takes a device that proves both keys, and shows what an administrator compares', async () => {
    const machine = new Machine(server);
    const answer = await machine.enrol('Halle 3, Prüfstand', { machineIdentity: encode(new Uint8Array(32).fill(5)) });
    expect(answer.statusCode).toBe(201);
    expect(answer.json()).toEqual({
      id: machine.id,
      account: server.accounts.operator.id,
      name: 'Halle 3, Prüfstand',
      publicKey: machine.publicKey,
      fingerprint: machine.fingerprint,
      sealed: true,
      state: 'pending',
      created: server.clock.now,
    });
  });

  it('keeps the name boxed', async () => {
    const machine = new Machine(server);
    await machine.enrol('the bench of Ms Unmistakable');
    const row = await server.context.db.selectFrom('devices').select('name').where('id', '=', machine.id).executeTakeFirst();
    expect(row?.name.includes('Unmistakable')).toBe(false);
    expect(row?.name.length).toBeGreaterThan(28);
  });

  it.each([
    ['another server', { serverId: 'ab'.repeat(16) }],
    ['another challenge', { challenge: encode(new Uint8Array(32)) }],
    ['another device', { deviceId: 'cd'.repeat(16) }],
    ['another body', { body: { name: 'bench', publicKey: 'another' } }],
  ])('refuses a proof for %s', async (_what, lies) => {
    const machine = new Machine(server);
    expect(await enrolWith(machine, lies)).toBe('403 PROOF_INVALID');
    expect(outcomeOf(await machine.enrol())).toBe('201');
  });

  it('refuses a signature that was changed, and one by another key', async () => {
    const machine = new Machine(server);
    expect(await enrolWith(machine, {}, flipped)).toBe('403 PROOF_INVALID');
    const challenge = await machine.challenge();
    const other = new Machine(server);
    const body = { name: 'bench', publicKey: other.publicKey, challenge: challenge.challenge };
    const headers = { [PROOF_HEADER]: machine.signEnrolment(challenge, body, { deviceId: other.id }) };
    expect(outcomeOf(await server.request('operator', 'enrollDevice', { body, headers }))).toBe('403 PROOF_INVALID');
  });

  it('refuses a device that could not open the nonce', async () => {
    const machine = new Machine(server);
    const real = await machine.challenge();
    const guessed = await machine.challenge();
    const body = { name: 'bench', publicKey: machine.publicKey, challenge: real.challenge };
    const proof = machine.signEnrolment(guessed, body, { challenge: real.challenge });
    const headers = { [PROOF_HEADER]: proof };
    expect(outcomeOf(await server.request('operator', 'enrollDevice', { body, headers }))).toBe('403 PROOF_INVALID');
  });

  it('uses up a challenge, whether the enrolment succeeds or not', async () => {
    const machine = new Machine(server);
    const challenge = await machine.challenge();
    const body = { name: 'bench', publicKey: machine.publicKey, challenge: challenge.challenge };
    const proof = machine.signEnrolment(challenge, body);
    const send = (signature: string) =>
      server.request('operator', 'enrollDevice', { body, headers: { [PROOF_HEADER]: signature } });
    expect(outcomeOf(await send(flipped(proof)))).toBe('403 PROOF_INVALID');
    expect(outcomeOf(await send(proof))).toBe('403 PROOF_INVALID');

    const again = await machine.challenge();
    const second = { ...body, challenge: again.challenge };
    const headers = { [PROOF_HEADER]: machine.signEnrolment(again, second) };
    expect(outcomeOf(await server.request('operator', 'enrollDevice', { body: second, headers }))).toBe('201');
    expect(outcomeOf(await server.request('operator', 'enrollDevice', { body: second, headers }))).toBe('403 PROOF_INVALID');
  });

  it('accepts a challenge for a minute', async () => {
    for (const [seconds, outcome] of [
      [59, '201'],
      [61, '403 PROOF_INVALID'],
    ] as const) {
      const machine = new Machine(server);
      const challenge = await machine.challenge();
      const body = { name: 'bench', publicKey: machine.publicKey, challenge: challenge.challenge };
      const headers = { [PROOF_HEADER]: machine.signEnrolment(challenge, body) };
      server.clock.now += seconds;
      expect(outcomeOf(await server.request('operator', 'enrollDevice', { body, headers })), `${seconds} s`).toBe(outcome);
    }
  });

  it('refuses a challenge of another account, or for a lease', async () => {
    const machine = new Machine(server);
    const challenge = await machine.challenge();
    const body = { name: 'bench', publicKey: machine.publicKey, challenge: challenge.challenge };
    const headers = { [PROOF_HEADER]: machine.signEnrolment(challenge, body) };
    expect(outcomeOf(await server.request('companion', 'enrollDevice', { body, headers }))).toBe('403 PROOF_INVALID');

    const lease = { ...(await machine.challenge()), challenge: await machine.begin() };
    const other = { ...body, challenge: lease.challenge };
    const sealed = await machine.challenge();
    const proof = machine.signEnrolment(sealed, other, { challenge: lease.challenge });
    const answer = await server.request('operator', 'enrollDevice', { body: other, headers: { [PROOF_HEADER]: proof } });
    expect(outcomeOf(answer)).toBe('403 PROOF_INVALID');
  });

  it('enrols a key once, and does not tell its account', async () => {
    const machine = new Machine(server);
    await machine.enrol();
    expect(outcomeOf(await machine.enrol())).toBe('409 ALREADY_EXISTS');
    const thief = new Machine(server, 'companion');
    Object.assign(thief, { key: machine.key, publicKey: machine.publicKey, id: machine.id });
    const refused = await thief.enrol();
    expect(outcomeOf(refused)).toBe('409 ALREADY_EXISTS');
    expect(refused.body).not.toContain(server.accounts.operator.id);
    await machine.approve();
    expect(outcomeOf(await machine.enrol())).toBe('409 ALREADY_EXISTS');
    await machine.revoke();
    expect(outcomeOf(await machine.enrol())).toBe('403 DEVICE_REVOKED');
    expect(outcomeOf(await thief.enrol())).toBe('409 ALREADY_EXISTS');
  });

  it('refuses another device’s X25519 key joined to an Ed25519 key that has no secret', async () => {
    const x25519 = Buffer.from(new Machine(server).publicKey.slice(5), 'base64url').subarray(0, 32);
    const neutral = Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]);
    const publicKey = `mgd1:${Buffer.concat([x25519, neutral]).toString('base64url')}`;
    expect(outcomeOf(await server.request('operator', 'challengeDevice', { body: { publicKey } }))).toBe('400 KEY_INVALID');
    const body = { name: 'bench', publicKey, challenge: encode(new Uint8Array(32)) };
    // R = the neutral element, S = 0: it verifies under such a key, whatever was signed.
    const headers = { [PROOF_HEADER]: encode(Buffer.concat([neutral, Buffer.alloc(32)])) };
    expect(outcomeOf(await server.request('operator', 'enrollDevice', { body, headers }))).toBe('400 KEY_INVALID');
  });

  it('refuses keys that are not canonical text', async () => {
    const machine = new Machine(server);
    const last = machine.publicKey.at(-1) as string;
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const publicKey = machine.publicKey.slice(0, -1) + alphabet[alphabet.indexOf(last) + 1];
    expect(outcomeOf(await server.request('operator', 'challengeDevice', { body: { publicKey } }))).toBe('400 KEY_INVALID');
  });
});

it('is not enrolled for an account that is erased meanwhile', async () => {
  const { db } = server.context;
  const machine = new Machine(server, 'companion');
  const challenge = await machine.challenge();
  const body = { name: 'bench', publicKey: machine.publicKey, challenge: challenge.challenge };
  const headers = { [PROOF_HEADER]: machine.signEnrolment(challenge, body) };
  const asking = { body, headers: { ...headers, authorization: `Bearer ${await server.token('companion')}` } };
  const { subject, id } = server.accounts.companion;
  const transaction = db.transaction.bind(db);
  // Between the proof and the row.
  const beginning = vi.spyOn(db, 'transaction').mockImplementationOnce(() => {
    const begun = transaction();
    const execute: typeof begun.execute = (task) =>
      begun.execute(async (trx) => {
        await trx.deleteFrom('users').where('id', '=', id).execute();
        await trx.deleteFrom('subjects').where('id', '=', subject).execute();
        return await task(trx);
      });
    return Object.assign(Object.create(begun), { execute });
  });
  try {
    expect(outcomeOf(await server.request(undefined, 'enrollDevice', asking))).toBe('401 NOT_AUTHENTICATED');
    expect(beginning).toHaveBeenCalled();
  } finally {
    beginning.mockRestore();
  }
  expect(await db.selectFrom('devices').select('id').where('id', '=', machine.id).execute()).toEqual([]);
});

describe('approval', () => {
  it('wants the fingerprint, however people copy it', async () => {
    const machine = new Machine(server);
    await machine.enrol();
    const wrong = await machine.approve(machine.fingerprint.replace(/^./, (digit) => (digit === '0' ? '1' : '0')));
    expect(outcomeOf(wrong)).toBe('400 INVALID_ARGUMENT');
    expect(wrong.json().error.path).toBe('fingerprint');
    for (const copied of [machine.fingerprint.toUpperCase().replaceAll(' ', ':'), machine.fingerprint.replaceAll(' ', '')]) {
      const answer = await machine.approve(copied);
      expect(answer.json()).toMatchObject({ state: 'approved', decided: server.clock.now });
    }
  });

  it('is decided once', async () => {
    const machine = new Machine(server);
    await machine.enrol();
    const first = (await machine.approve()).json().decided;
    server.clock.now += 10;
    expect((await machine.approve()).json().decided).toBe(first);
    await machine.revoke();
    expect(outcomeOf(await machine.approve())).toBe('403 DEVICE_REVOKED');
    expect((await machine.revoke()).json()).toMatchObject({ state: 'revoked' });
  });
});

describe('looking', () => {
  it('shows an account its own devices, and all to deciding roles', async () => {
    const mine = new Machine(server, 'validator');
    const theirs = new Machine(server, 'companion');
    await mine.enrol('mine');
    await theirs.enrol('theirs');
    const seen = (await server.request('validator', 'listDevices', {})).json().items.map(({ id }: { id: string }) => id);
    expect(seen).toEqual([mine.id]);
    const foreign = { query: { account: server.accounts.companion.id } };
    expect((await server.request('validator', 'listDevices', foreign)).json().items).toEqual([]);
    expect((await server.request('admin', 'listDevices', foreign)).json().items).toMatchObject([
      { id: theirs.id, name: 'theirs' },
    ]);
    expect(outcomeOf(await server.request('validator', 'getDevice', { params: { device: theirs.id } }))).toBe('404 NOT_FOUND');
    const missing = await server.request('validator', 'getDevice', { params: { device: '0'.repeat(32) } });
    const hidden = await server.request('validator', 'getDevice', { params: { device: theirs.id } });
    expect(hidden.json().error.message).toBe(missing.json().error.message);
    expect((await server.request('admin', 'getDevice', { params: { device: theirs.id } })).json().name).toBe('theirs');
  });

  it('gives every device once, page by page', async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const answer = await server.request('admin', 'listDevices', { query: { limit: 2, ...(cursor && { cursor }) } });
      const { items, next } = answer.json();
      seen.push(...items.map(({ id }: { id: string }) => id));
      cursor = next;
    } while (cursor !== undefined);
    const { count } = await server.context.db
      .selectFrom('devices')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    expect(seen.length).toBe(count);
    expect(new Set(seen).size).toBe(count);
    expect(outcomeOf(await server.request('admin', 'listDevices', { query: { cursor: 'nonsense' } }))).toBe(
      '400 INVALID_ARGUMENT',
    );
  });
});

it('writes down what was decided and what was refused', async () => {
  const machine = new Machine(server);
  await enrolWith(machine, {}, flipped);
  await machine.enrol();
  await machine.approve('0000');
  await machine.approve();
  await machine.revoke();
  const events = await server.context.db
    .selectFrom('audit')
    .select(['action', 'outcome'])
    .where('resource', '=', `device:${machine.id}`)
    .orderBy('seq')
    .execute();
  expect(events.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
    'devices.enroll denied',
    'devices.enroll success',
    'devices.approve failure',
    'devices.approve success',
    'devices.revoke success',
  ]);
});
