/** Publishing. If these fail, a version may be damaged, unsigned, or encrypted to another server. */
import { randomBytes } from 'node:crypto';
import { DeviceKey, SigningKey } from '@org/model-guard';
import { decode, encode, encryptionKeyOf, rewrapForServer } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { handleOf } from '../../../src/keys/key.js';
import type { KeyHandle } from '../../../src/native/binding.js';
import { call } from '../../../src/native/index.js';
import { findCurrentKey } from '../../src/keys/current-key.js';
import { outcomeOf } from '../support/outcomes.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { at, freshName, make, Publisher, type TestContainer } from '../support/story.js';

let server: TestServer;
let admin: Publisher;

beforeAll(async () => {
  server = await startTestServer();
  admin = new Publisher(server);
});
afterAll(() => server.close());

describe('publishing', () => {
  it('makes a version that this server alone can open', async () => {
    const name = freshName();
    await admin.register(name);
    const made = await admin.make({ name });
    expect((await admin.upload(made)).json()).toEqual({ name: made.bigName, size: made.big.length });
    const answer = await admin.commit(made);
    expect(answer.statusCode).toBe(201);
    expect(answer.json()).toMatchObject({
      name,
      version: '1',
      ordinal: 1,
      state: 'released',
      bigBytes: made.big.length,
      bigName: made.bigName,
      publisher: admin.key.publicKey.toString(),
      publishedBy: server.accounts.admin.id,
    });
    const row = await server.context.db.selectFrom('versions').selectAll().where('name', '=', name).executeTakeFirstOrThrow();
    const { slots } = call((native) => native.inspect(row.small));
    expect(slots.length).toBe(1);
    expect(row.wrapped_to).toBe(encryptionKeyOf(await findCurrentKey(server.context)));
    expect(row.small.length).toBe(answer.json().smallBytes);
  });

  it('delays no check of another account', async () => {
    const name = freshName();
    await admin.register(name);
    const made = await admin.make({ name });
    const stranger = DeviceKey.generate();
    const own = await findCurrentKey(server.context);
    // The server's own key stands beside a stranger's, as a publisher's container may have both.
    const small = await call((native) =>
      native.rewrap({
        small: made.small,
        identities: [handleOf(own) as KeyHandle],
        trust: { publishers: [] },
        recipients: [
          { kind: 'x25519', publicPart: decode(encryptionKeyOf(stranger).slice(5)) },
          { kind: 'x25519', publicPart: decode(encryptionKeyOf(own).slice(5)) },
        ],
      }),
    );
    const offset = made.small.length - call((native) => native.inspect(made.small)).headerLength;
    const again: TestContainer = { ...made, small, bigName: made.bigName };
    expect(made.bigName.endsWith(`-${offset}`)).toBe(true);
    await admin.upload(again);
    expect(outcomeOf(await admin.commit(again))).toBe('201');
    const row = await server.context.db.selectFrom('versions').selectAll().where('name', '=', name).executeTakeFirstOrThrow();
    const opening = { small: row.small, ref: { name, version: '1' }, publishers: [admin.key.publicKey.toString()] };
    await expect(rewrapForServer({ ...opening, keys: [stranger], to: stranger })).rejects.toMatchObject({
      code: 'NO_MATCHING_IDENTITY',
    });
  });

  it('refuses a container of another name or version', async () => {
    const name = freshName();
    await admin.register(name);
    await admin.register(`${name}-other`);
    const made = await admin.make({ name });
    await admin.upload(made);
    expect(outcomeOf(await admin.commit({ ...made, version: '2' }))).toBe('409 REFERENCE_MISMATCH');
    expect(outcomeOf(await admin.commit({ ...made, name: `${name}-other` }))).toBe('409 REFERENCE_MISMATCH');
  });

  it('refuses what is not signed, or signed by a key that is not registered', async () => {
    const name = freshName();
    const unregistered = await admin.make({ name });
    await admin.upload(unregistered);
    const refused = await admin.commit(unregistered);
    expect(outcomeOf(refused)).toBe('403 NOT_AUTHORISED');
    expect(refused.json().error.message).toContain('No publisher key is registered');

    await admin.register(name);
    const unsigned = await make(server, { name });
    await admin.upload(unsigned);
    expect(outcomeOf(await admin.commit(unsigned))).toBe('409 SIGNATURE_MISSING');
    const foreign = await make(server, { name, signer: SigningKey.generate() });
    await admin.upload(foreign);
    expect(outcomeOf(await admin.commit(foreign))).toBe('409 SIGNATURE_INVALID');
    expect(outcomeOf(await admin.commit(unregistered))).toBe('201');
  });

  it('refuses what is encrypted to another server', async () => {
    const name = freshName();
    await admin.register(name);
    const made = await admin.make({ name, recipient: encryptionKeyOf(DeviceKey.generate()) });
    await admin.upload(made);
    expect(outcomeOf(await admin.commit(made))).toBe('409 NO_MATCHING_IDENTITY');
  });

  it('refuses a big part that is missing, damaged or of another size, before a version exists', async () => {
    const name = freshName();
    await admin.register(name);
    const made = await admin.make({ name });
    expect(outcomeOf(await admin.commit(made))).toBe('404 NOT_FOUND');

    const damaged = await admin.make({ name });
    const big = damaged.big.slice();
    big[big.length - 1] = (big.at(-1) ?? 0) ^ 1;
    await admin.upload({ ...damaged, big });
    expect(outcomeOf(await admin.commit(damaged))).toBe('409 PARTS_MISMATCH');

    const short = await admin.make({ name });
    await admin.upload({ ...short, big: short.big.subarray(0, -1) });
    expect(outcomeOf(await admin.commit(short))).toBe('409 PARTS_MISMATCH');
    expect((await server.request('admin', 'listVersions', { query: { name } })).json().items).toEqual([]);
  });

  it('is found by its name and version in a list, where it is no refusal that there is none', async () => {
    const name = freshName();
    await admin.register(name);
    const made = await admin.publish({ name });
    const found = (query: object) => server.request('operator', 'listVersions', { query });
    expect((await found({ name, version: made.version })).json().items).toMatchObject([{ name, payloadId: made.payloadId }]);
    expect((await found({ name, version: 'none' })).json()).toEqual({ items: [] });
    expect(outcomeOf(await found({ version: made.version }))).toBe('400 INVALID_ARGUMENT');
  });

  it('refuses what is no small part', async () => {
    const name = freshName();
    await admin.register(name);
    const made = await admin.make({ name });
    await admin.upload(made);
    const commit = (small: Uint8Array) => admin.commit({ ...made, small });
    expect(outcomeOf(await commit(randomBytes(2000)))).toBe('400 NOT_A_CONTAINER');
    expect(outcomeOf(await commit(new Uint8Array()))).toMatch(/^400 /);
    expect(outcomeOf(await commit(made.small.subarray(0, 200)))).toMatch(/^400 CONTAINER_/);
    expect(outcomeOf(await commit(Buffer.concat([made.small, made.big])))).toMatch(/^409 PARTS_MISMATCH/);
    const bent = made.small.slice();
    bent[40] = (bent[40] ?? 0) ^ 1;
    expect((await commit(bent)).statusCode).toBeLessThan(500);
    const huge = await admin.commit({ ...made, small: new Uint8Array(17 * 1024 * 1024 + 1) });
    expect(outcomeOf(huge)).toBe('413 LIMIT_EXCEEDED');
  });

  it('refuses to publish a lease', async () => {
    const name = freshName();
    await admin.register(name);
    const made = await admin.make({ name });
    await admin.upload(made);
    const policy = { notBefore: 0, notAfter: 2 ** 40, offlineUntil: 1, leaseId: 'ab'.repeat(16), deviceId: 'cd'.repeat(16) };
    const own = await findCurrentKey(server.context);
    const lease = await call((native) =>
      native.rewrap({
        small: made.small,
        identities: [handleOf(own) as KeyHandle],
        trust: { publishers: [] },
        recipients: [{ kind: 'x25519', publicPart: decode(encryptionKeyOf(own).slice(5)) }],
        lease: { policy, signer: handleOf(server.context.keys.signing) as KeyHandle },
      }),
    );
    expect(outcomeOf(await admin.commit({ ...made, small: lease }))).toBe('400 INVALID_ARGUMENT');
  });

  it('accepts a key that is being retired until its date', async () => {
    const name = freshName();
    await admin.register(name);
    const before = [await admin.make({ name, version: '1' }), await admin.make({ name, version: '2' })] as const;
    for (const made of before) await admin.upload(made);
    const rotation = (await server.request('apiAdmin', 'rotateKeys', { body: { acceptSeconds: 100 } })).json();
    expect(outcomeOf(await admin.commit(before[0]))).toBe('201');
    const row = await server.context.db.selectFrom('versions').selectAll().where('name', '=', name).executeTakeFirstOrThrow();
    expect(row.wrapped_to).toBe(rotation.to);
    server.clock.now += 101;
    expect(outcomeOf(await admin.commit(before[1]))).toBe('409 NO_MATCHING_IDENTITY');
  });

  it('never replaces a version by accident', async () => {
    const name = freshName();
    await admin.register(name);
    const first = await admin.publish({ name });
    const second = await admin.make({ name });
    await admin.upload(second);
    expect(outcomeOf(await admin.commit(second))).toBe('409 ALREADY_EXISTS');
    const answer = await admin.commit(second, { overwrite: true });
    expect(answer.json()).toMatchObject({ ordinal: 2, payloadId: second.bigName.slice(0, 32) });
    expect(first.bigName).not.toBe(second.bigName);
  });

  it('lets only one of two publications of a version win', async () => {
    const name = freshName();
    await admin.register(name);
    const both = [await admin.make({ name }), await admin.make({ name })];
    for (const made of both) await admin.upload(made);
    const outcomes = (await Promise.all(both.map((made) => admin.commit(made)))).map(outcomeOf).sort();
    expect(outcomes).toEqual(['201', '409 ALREADY_EXISTS']);
  });

  it('refuses names that are paths', async () => {
    const part = `${'a'.repeat(32)}-100`;
    const bytes = new Uint8Array(8);
    for (const name of ['..', '.', '../etc', '..%2f..', '%2e%2e', 'a/b', 'a\\b', 'A', 'ä', 'a b', 'x'.repeat(129), "a';--"]) {
      const url = `/models/${encodeURIComponent(name)}/versions/1`;
      const headers = { authorization: `Bearer ${await server.token('admin')}` };
      const commit = await server.app.inject({ method: 'PUT', url, headers, payload: { small: encode(bytes) } });
      expect([400, 404], name).toContain(commit.statusCode);
      const upload = { ...headers, 'content-type': 'application/octet-stream' };
      const put = await server.app.inject({
        method: 'PUT',
        url: `${url}/parts/${part}`,
        headers: upload,
        payload: Buffer.from(bytes),
      });
      // A client makes another path of `..`, where bytes are not taken.
      expect([400, 404, 415], name).toContain(put.statusCode);
    }
    for (const bad of ['..', `../${part}`, `${part}/../x`, `${'a'.repeat(32)}-01`, `${'A'.repeat(32)}-1`, part.slice(1)]) {
      const params = { name: 'defects', version: '1', part: bad };
      expect([400, 404, 415], bad).toContain((await server.request('admin', 'putPart', { params, body: bytes })).statusCode);
    }
  });
});

it('registers publishers, and removes missing ones', async () => {
  const name = freshName();
  const [one, two] = [SigningKey.generate().publicKey.toString(), SigningKey.generate().publicKey.toString()];
  const set = (keys: string[]) => server.request('admin', 'setPublishers', { params: { name }, body: { keys } });
  expect((await set([one, two, one])).json().keys).toEqual([one, two].sort());
  expect((await set([two])).json().keys).toEqual([two]);
  expect((await server.request('operator', 'getPublishers', { params: { name } })).json().keys).toEqual([two]);
  expect(outcomeOf(await set([]))).toBe('400 INVALID_ARGUMENT');
  // One that looks like a key, and is none.
  expect(outcomeOf(await set([`mgs1:${'_'.repeat(one.length - 5)}`]))).toMatch(/^400 /);
  // A key of small order: a signature for it can be made without a secret.
  const neutral = Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]).toString('base64url');
  expect(outcomeOf(await set([one, `mgs1:${neutral}`]))).toBe('400 KEY_INVALID');
  expect((await server.request('operator', 'getPublishers', { params: { name } })).json().keys).toEqual([two]);
  const refused = await server.request('operator', 'setPublishers', { params: { name }, body: { keys: [one] } });
  expect(outcomeOf(refused)).toBe('403 NOT_AUTHORISED');
});

it('records publications, decisions and refusals with their accounts', async () => {
  const name = freshName();
  await admin.register(name);
  const made = await admin.make({ name });
  await admin.commit(made);
  await admin.upload(made);
  await admin.commit(made);
  await server.request('admin', 'revokeVersion', { ...at(made), body: {} });
  const events = await server.context.db
    .selectFrom('audit')
    .select(['action', 'outcome'])
    .where('resource', '=', `model:${name}@1`)
    .orderBy('seq')
    .execute();
  expect(events.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
    'models.publish denied',
    'models.publish success',
    'models.release success',
    'models.revoke success',
  ]);
});
