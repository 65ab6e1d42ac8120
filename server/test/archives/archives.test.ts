/** Archives: their fragments are stored sealed, and answered sealed to one approved device that has just asked for them. */
import { type DeviceKey, MasterKey } from '@org/model-guard';
import { decode, encode, encryptionKeyOf, PROOF_HEADER, unhex } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { handleOf } from '../../../src/keys/key.js';
import type { KeyHandle } from '../../../src/native/binding.js';
import { call } from '../../../src/native/index.js';
import { findCurrentKey } from '../../src/keys/current-key.js';
import { outcomeOf } from '../support/outcomes.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { entitle, Machine, type ProofOverrides, signRequest } from '../support/story.js';

let server: TestServer;
let machine: Machine;
let count = 0;
const handle = (key: DeviceKey | MasterKey): KeyHandle => handleOf(key) as KeyHandle;
const freshName = (): string => `archive-${count++}`;

beforeAll(async () => {
  server = await startTestServer();
  machine = await Machine.ready(server);
});
afterAll(() => server.close());

/** The key of an archive as a publisher sends it, sealed to a server for a name. */
async function fragmentFor(
  name: string,
  {
    to,
    serverId = server.context.serverId,
    key = MasterKey.generate(),
  }: { to?: string; serverId?: string; key?: MasterKey } = {},
): Promise<string> {
  const x25519 = decode((to ?? encryptionKeyOf(await findCurrentKey(server.context))).slice(5));
  return encode(call((native) => native.sealFragment(handle(key), x25519, unhex(serverId), name)));
}
const described = { format: 'container', sha256: 'ab'.repeat(32), size: 12_345 } as const;
const register = async (name: string, fragment?: string) =>
  server.request('resourceUploader', 'registerArchive', {
    body: { name, ...described, fragment: fragment ?? (await fragmentFor(name)) },
  });
/** Registered, and the operator may unlock it. */
async function ready(name = freshName(), terms = {}): Promise<string> {
  expect(outcomeOf(await register(name))).toBe('201');
  await entitle(server, 'operator', { kind: 'archive', name, ...terms });
  return name;
}
const opened = (sealed: string, name: string, challenge: string, by: DeviceKey = machine.key) =>
  call((native) => native.openFragment(handle(by), decode(sealed), unhex(server.context.serverId), name, decode(challenge)));

describe('registering', () => {
  it('keeps the fragment, wrapped to this server, and never shows it', async () => {
    const name = freshName();
    const answer = await register(name);
    expect(answer.statusCode).toBe(201);
    const shown = { name, ...described, registeredBy: server.accounts.resourceUploader.id, created: server.clock.now };
    expect(answer.json()).toEqual(shown);
    expect((await server.request('operator', 'getArchive', { params: { name } })).json()).toEqual(shown);
    const row = await server.context.db.selectFrom('archives').selectAll().where('name', '=', name).executeTakeFirst();
    expect(row?.wrapped_to).toBe(encryptionKeyOf(await findCurrentKey(server.context)));
    expect(outcomeOf(await register(name))).toBe('409 ALREADY_EXISTS');
  });

  it('refuses a fragment for another server, key or name, and one that is damaged', async () => {
    const name = freshName();
    expect(outcomeOf(await register(name, await fragmentFor('another')))).toBe('409 INTEGRITY_FAILED');
    expect(outcomeOf(await register(name, await fragmentFor(name, { serverId: 'ab'.repeat(16) })))).toBe('409 INTEGRITY_FAILED');
    const foreign = await fragmentFor(name, { to: machine.publicKey.slice(0, 48).replace('mgd1', 'mgx1') });
    expect(outcomeOf(await register(name, foreign))).toBe('409 INTEGRITY_FAILED');
    expect(outcomeOf(await register(name, 'AAAA'))).toBe('409 INTEGRITY_FAILED');
    const bytes = decode(await fragmentFor(name));
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    expect(outcomeOf(await register(name, encode(bytes)))).toBe('409 INTEGRITY_FAILED');
    expect(outcomeOf(await server.request('operator', 'getArchive', { params: { name } }))).toBe('404 NOT_FOUND');
  });

  it('accepts a key that is being retired until its date', async () => {
    const [early, late] = [freshName(), freshName()];
    const fragments = [await fragmentFor(early), await fragmentFor(late)] as const;
    const rotation = (await server.request('apiAdmin', 'rotateKeys', { body: { acceptSeconds: 100 } })).json();
    expect(outcomeOf(await register(early, fragments[0]))).toBe('201');
    const row = await server.context.db.selectFrom('archives').selectAll().where('name', '=', early).executeTakeFirst();
    expect(row?.wrapped_to).toBe(rotation.to);
    server.clock.now += 101;
    expect(outcomeOf(await register(late, fragments[1]))).toBe('409 INTEGRITY_FAILED');
  });

  it('lists archives page by page, and forgets them', async () => {
    for (let number = 0; number < 5; number++) await register(freshName());
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const { items, next } = (
        await server.request('operator', 'listArchives', { query: { limit: 2, ...(cursor && { cursor }) } })
      ).json();
      seen.push(...items.map(({ name }: { name: string }) => name));
      cursor = next;
    } while (cursor);
    expect(new Set(seen).size).toBe(seen.length);
    const [name = ''] = seen;
    expect(outcomeOf(await server.request('admin', 'deleteArchive', { params: { name } }))).toBe('204');
    expect(outcomeOf(await server.request('admin', 'deleteArchive', { params: { name } }))).toBe('404 NOT_FOUND');
  });
});

describe('unlocking', () => {
  it('gives the fragment to the device, for this challenge alone', async () => {
    const name = await ready();
    const challenge = await machine.begin();
    const answer = await machine.unlock(name, {}, challenge);
    expect(answer.statusCode).toBe(200);
    const { fragment, archive, checkpoint } = answer.json();
    expect(archive).toMatchObject({ name, ...described });
    expect(checkpoint.logId).toBe(server.context.logId);
    expect(call((native) => native.keyType(opened(fragment, name, challenge)))).toBe('master');
    const code = 'INTEGRITY_FAILED';
    expect(() => opened(fragment, name, challenge, new Machine(server).key)).toThrow(expect.objectContaining({ code }));
    expect(() => opened(fragment, 'another', challenge)).toThrow(expect.objectContaining({ code }));
    expect(() => opened(fragment, name, encode(new Uint8Array(32)))).toThrow(expect.objectContaining({ code }));
  });

  it('goes on after a rotation', async () => {
    const name = await ready();
    await server.request('apiAdmin', 'rotateKeys', { body: { acceptSeconds: 0 } });
    const challenge = await machine.begin();
    const answer = await machine.unlock(name, {}, challenge);
    expect(call((native) => native.keyType(opened(answer.json().fragment, name, challenge)))).toBe('master');
  });

  it.each<[string, ProofOverrides]>([
    ['another server', { serverId: 'ab'.repeat(16) }],
    ['another challenge', { challenge: encode(new Uint8Array(32)) }],
    ['another device', { deviceId: 'cd'.repeat(16) }],
    ['another body', { body: { device: 'x' } }],
  ])('refuses a proof for %s, and uses the challenge up', async (_what, lies) => {
    const name = await ready();
    const challenge = await machine.begin();
    expect(outcomeOf(await machine.unlock(name, lies, challenge))).toBe('403 PROOF_INVALID');
    expect(outcomeOf(await machine.unlock(name, {}, challenge))).toBe('403 PROOF_INVALID');
  });

  it('refuses a replay, an old challenge, and one for an enrolment', async () => {
    const name = await ready();
    const body = { device: machine.id, challenge: await machine.begin(), name };
    const headers = { [PROOF_HEADER]: signRequest(server, machine.key, body) };
    const send = () => server.request('operator', 'unlockArchive', { params: { name }, body, headers });
    expect(outcomeOf(await send())).toBe('200');
    expect(outcomeOf(await send())).toBe('403 PROOF_INVALID');
    const old = await machine.begin();
    server.clock.now += 61;
    expect(outcomeOf(await machine.unlock(name, {}, old))).toBe('403 PROOF_INVALID');
    expect(outcomeOf(await machine.unlock(name, {}, (await machine.challenge()).challenge))).toBe('403 PROOF_INVALID');
  });

  it('refuses what was signed for another archive, and uses the challenge up', async () => {
    const [asked, other] = [await ready(), await ready()];
    const body = { device: machine.id, challenge: await machine.begin(), name: asked };
    const headers = { [PROOF_HEADER]: signRequest(server, machine.key, body) };
    const send = (name: string) => server.request('operator', 'unlockArchive', { params: { name }, body, headers });
    const replayed = await send(other);
    expect(outcomeOf(replayed)).toBe('400 INVALID_ARGUMENT');
    expect(replayed.json().error.path).toBe('name');
    expect(outcomeOf(await send(asked))).toBe('403 PROOF_INVALID');
    // Nor with another name in the body, which is not the signed one.
    const challenge = await machine.begin();
    expect(outcomeOf(await machine.unlock(other, { body: { device: machine.id, challenge, name: asked } }, challenge))).toBe(
      '403 PROOF_INVALID',
    );
    const { items } = (await server.request('admin', 'auditEvents', { query: { resource: `archive:${other}` } })).json();
    expect(items.map(({ action, outcome }: { action: string; outcome: string }) => `${action} ${outcome}`)).toEqual([
      'archives.unlock denied',
      'archives.unlock failure',
      'archives.register success',
    ]);
  });

  it('wants an entitlement to this archive, now, for this device', async () => {
    const name = freshName();
    await register(name);
    expect(outcomeOf(await machine.unlock(name))).toBe('403 NOT_AUTHORISED');
    await entitle(server, 'operator', { name });
    expect(outcomeOf(await machine.unlock(name))).toBe('403 NOT_AUTHORISED');
    await entitle(server, 'operator', { kind: 'archive', name, notAfter: server.clock.now });
    expect(outcomeOf(await machine.unlock(name))).toBe('403 NOT_AUTHORISED');
    await entitle(server, 'operator', { kind: 'archive', name, device: machine.id });
    expect(outcomeOf(await machine.unlock(name))).toBe('200');
    expect(outcomeOf(await (await Machine.ready(server)).unlock(name))).toBe('403 NOT_AUTHORISED');
  });

  it('wants an approved device of the caller', async () => {
    const name = await ready();
    const fresh = new Machine(server);
    expect(outcomeOf(await fresh.unlock(name))).toBe('404 NOT_FOUND');
    await fresh.enrol();
    expect(outcomeOf(await fresh.unlock(name))).toBe('403 DEVICE_NOT_APPROVED');
    await fresh.approve();
    expect(outcomeOf(await fresh.unlock(name))).toBe('200');
    await fresh.revoke();
    expect(outcomeOf(await fresh.unlock(name))).toBe('403 DEVICE_REVOKED');
  });

  it('ends when the archive is forgotten', async () => {
    const name = await ready();
    await server.request('admin', 'deleteArchive', { params: { name } });
    expect(outcomeOf(await machine.unlock(name))).toBe('404 NOT_FOUND');
  });

  it('is written down, granted or refused', async () => {
    const name = await ready();
    await machine.unlock(name, { deviceId: 'ab'.repeat(16) });
    await machine.unlock(name);
    const events = await server.context.db
      .selectFrom('audit')
      .select(['action', 'outcome'])
      .where('resource', '=', `archive:${name}`)
      .orderBy('seq')
      .execute();
    expect(events.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
      'archives.register success',
      'archives.unlock denied',
      'archives.unlock success',
    ]);
  });
});
