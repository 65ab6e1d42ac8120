/** An account with every kind of personal data, whose traces a test looks for. */
import { randomBytes } from 'node:crypto';
import { DeviceKey } from '@org/model-guard';
import { unhex } from '@org/model-guard/server-kit';
import { expect } from 'vitest';
import { PASSWORD, type TestServer } from './server.js';

/** Long and odd enough not to be anywhere by chance. */
export const person = {
  email: 'zuzana.q8x7@sub.example.org',
  name: 'Zuzana Přikrylová-Q8X7',
  address: 'Kafkova 1427/9 Děčín',
  device: 'Zuzana’s bench rig 55172',
  ip: '203.0.113.171',
};
export const texts = Object.values(person);

interface Erasable {
  readonly id: string;
  readonly subject: string;
  readonly authorization: string;
}

/** An account with everything that an account can have. */
export async function makePersonalData(server: TestServer, who: typeof person): Promise<Erasable> {
  const { context, app } = server;
  const { email, name, address } = who;
  const created = await server.request('apiAdmin', 'createUser', {
    body: { email, password: PASSWORD, role: 'operator', name, address },
  });
  expect(created.statusCode, created.body).toBe(201);
  const { id } = created.json();
  const { subject } = await context.db.selectFrom('users').select('subject').where('id', '=', id).executeTakeFirstOrThrow();
  const wrong = await app.inject({ method: 'POST', url: '/login', remoteAddress: who.ip, payload: { email, password: 'wrong' } });
  expect(wrong.statusCode).toBe(401);
  const login = await app.inject({
    method: 'POST',
    url: '/login',
    remoteAddress: who.ip,
    payload: { email, password: PASSWORD },
  });
  expect(login.statusCode, login.body).toBe(200);
  const authorization = `Bearer ${login.json().token}`;
  const changed = await server.request('apiAdmin', 'updateUser', { params: { account: id }, body: { name } });
  expect(changed.statusCode).toBe(200);

  const device = await addDevice(server, id, subject, who.device);
  const entitlement = randomBytes(16).toString('hex');
  const common = { account: id, device, name: 'defects', created: context.now() };
  await context.db
    .insertInto('entitlements')
    .values({
      ...common,
      id: entitlement,
      kind: 'model',
      seats: 1,
      lease_seconds: 60,
      offline_seconds: 60,
      not_before: null,
      not_after: null,
    })
    .execute();
  await context.db
    .insertInto('leases')
    .values({
      ...common,
      id: randomBytes(16).toString('hex'),
      entitlement,
      version: '3',
      not_before: 0,
      not_after: 4e9,
      offline_until: 0,
      revoked: 0,
      seat_until: 4e9,
      superseded: null,
    })
    .execute();
  const read = await app.inject({ url: `/devices/${device}`, remoteAddress: who.ip, headers: { authorization } });
  expect(read.json().name).toBe(who.device);
  return { id, subject, authorization };
}

async function addDevice(server: TestServer, account: string, subject: string, name: string): Promise<string> {
  const { db, keys, now } = server.context;
  const id = randomBytes(16).toString('hex');
  const { wrapped } = await db.selectFrom('subjects').select('wrapped').where('id', '=', subject).executeTakeFirstOrThrow();
  const boxed = Buffer.from(keys.fields.seal(wrapped, subject, unhex(id), name));
  const key = DeviceKey.generate().publicKey.toString();
  await db
    .insertInto('devices')
    .values({
      id,
      account,
      name: boxed,
      public_key: key,
      machine_identity: null,
      state: 'approved',
      created: now(),
      decided: null,
    })
    .execute();
  return id;
}
