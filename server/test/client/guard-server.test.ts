/** The SDK's client against a server that listens: publishing, leasing, loading, and the ends of leases. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DeviceKey, fileStore, load, protect, SigningKey } from '@org/model-guard';
import { deviceIdOf } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf } from '../../../test/support/failures.js';
import { clientOf, MachineClock, readyDevice } from '../support/clients.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { entitle } from '../support/story.js';

const plain = new Uint8Array(randomBytes(3_000_000));
const signer = SigningKey.generate();
const publishers = signer.publicKey;
let server: TestServer;
let model: string;

/** With a model that the operator may load. */
async function start(): Promise<TestServer> {
  const started = await startTestServer();
  await started.listen();
  model = join(started.folder, 'net.onnx');
  writeFileSync(model, plain);
  const admin = clientOf(started, { role: 'admin' });
  await admin.publishers.set('net', [publishers]);
  await protect(model, { name: 'net', version: '1', signer, to: admin });
  await entitle(started, 'operator', { name: 'net', seats: 100 });
  return started;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

describe('publishing', () => {
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.close());

  it('encrypts to the key that the server states, streams, and says how it stands', async () => {
    const admin = clientOf(server, { role: 'admin' });
    const made = await protect(model, { name: 'net', version: 'published', signer, to: admin });
    expect(made.state).toBe('released');
    const operator = clientOf(server);
    const waiting = await protect(model, { name: 'net', version: 'waiting', signer, to: operator });
    expect(waiting.state).toBe('pending');
    expect((await operator.models.get('net@waiting')).payloadId).toBe(waiting.payloadId);
    const listed: string[] = [];
    for await (const { name, version } of admin.list()) listed.push(`${name}@${version}`);
    expect(listed).toContain('net@published');
    expect(listed).not.toContain('net@waiting');
  });

  it('leaves no event of a refusal where nothing was refused', async () => {
    const events = () => server.context.db.selectFrom('audit').select(['action', 'outcome']).orderBy('seq').execute();
    const before = (await events()).length;
    await protect(model, { name: 'net', version: 'quiet', signer, to: clientOf(server, { role: 'admin' }) });
    const made = (await events()).slice(before);
    expect(made.map(({ action }) => action)).toContain('models.publish');
    expect(made.filter(({ outcome }) => outcome !== 'success')).toEqual([]);
  });

  it('that is refused is one log-in and one event', async () => {
    const count = async (action: string) =>
      (await server.context.db.selectFrom('audit').select('seq').where('action', '=', action).execute()).length;
    const logins = await count('auth.login');
    const denials = await count('authz.denied');
    expect(
      await codeOf(() => protect(model, { name: 'net', version: '9', signer, to: clientOf(server, { role: 'companion' }) })),
    ).toBe('NOT_AUTHORISED');
    expect([(await count('auth.login')) - logins, (await count('authz.denied')) - denials]).toEqual([1, 1]);
  });

  it('does not replace what is published, and is told so before it encrypts', async () => {
    const admin = clientOf(server, { role: 'admin' });
    expect(await codeOf(() => protect(model, { name: 'net', version: '1', signer, to: admin }))).toBe('ALREADY_EXISTS');
  });

  it('is refused without the permission, in the middle of a stream too', async () => {
    const companion = clientOf(server, { role: 'companion' });
    expect(await codeOf(() => protect(model, { name: 'net', version: 'no', signer, to: companion }))).toBe('NOT_AUTHORISED');
  });
});

describe('loading', () => {
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.close());

  it('from a lease, both parts from the server, nothing said twice', async () => {
    const { guard } = await readyDevice(server, { publishers });
    using loaded = await load('net@1', { from: guard });
    expect(same(loaded.bytes, plain)).toBe(true);
    expect(loaded.metadata.origin).toBe('verified');
  });

  it('without a version takes the newest released one', async () => {
    const admin = clientOf(server, { role: 'admin' });
    await admin.publishers.set('newest', [publishers]);
    await entitle(server, 'operator', { name: 'newest', seats: 100 });
    for (const version of ['a', 'b']) await protect(model, { name: 'newest', version, signer, to: admin });
    const { guard } = await readyDevice(server, { publishers });
    using loaded = await load('newest', { from: guard });
    expect(loaded.metadata.version).toBe('b');
    // A device does not go back to an older version, unless it is told to.
    expect(await codeOf(() => guard.lease('newest@a'))).toBe('ROLLBACK_REFUSED');
  });

  it('goes back where it is told to, that once', async () => {
    const device = DeviceKey.generate();
    const { guard } = await readyDevice(server, { publishers, device });
    await guard.lease('newest@b');
    const willing = clientOf(server, { device, publishers, rollback: 'accept' });
    expect((await willing.lease('newest@a')).version).toBe('a');
    expect(await codeOf(() => guard.lease('newest@a'))).toBe('ROLLBACK_REFUSED');
    expect((await guard.lease('newest@b')).version).toBe('b');
  });

  it('that is refused as older leaves the current lease as it was', async () => {
    const { guard } = await readyDevice(server, { publishers });
    const { id, device } = await guard.lease('newest@b');
    expect(await codeOf(() => guard.lease('newest@a'))).toBe('ROLLBACK_REFUSED');
    const rows = await server.context.db.selectFrom('leases').selectAll().where('device', '=', device).execute();
    expect(rows.map((row) => [row.id, row.version, row.revoked])).toEqual([[id, 'b', 0]]);
  });

  it('needs a publisher that is pinned: the server cannot name one', async () => {
    const { guard, device } = await readyDevice(server);
    expect(await codeOf(() => load('net@1', { from: guard }))).toBe('VERIFIER_REQUIRED');
    const other = clientOf(server, { device, publishers: { net: SigningKey.generate().publicKey } });
    expect(await codeOf(() => load('net@1', { from: other }))).toBe('SIGNATURE_INVALID');
    const byName = clientOf(server, { device, publishers: { other: publishers } });
    expect(await codeOf(() => load('net@1', { from: byName }))).toBe('VERIFIER_REQUIRED');
  });

  it('is refused before approval, without entitlement, after revocation', async () => {
    const device = DeviceKey.generate();
    const guard = clientOf(server, { device, publishers });
    expect((await guard.enroll('waiting')).state).toBe('pending');
    expect(await codeOf(() => guard.lease('net@1'))).toBe('DEVICE_NOT_APPROVED');
    const { guard: companion } = await readyDevice(server, { role: 'companion', publishers });
    expect(await codeOf(() => companion.lease('net@1'))).toBe('NOT_AUTHORISED');
    const { guard: revoked, device: key } = await readyDevice(server, { publishers });
    (await load('net@1', { from: revoked })).dispose();
    await clientOf(server, { role: 'admin' }).devices.revoke(deviceIdOf(key.publicKey.toString()));
    expect(await codeOf(() => load('net@1', { from: revoked }))).toBe('DEVICE_REVOKED');
  });

  it('renews the address of a big part that ends meanwhile', async () => {
    const clock = new MachineClock(server);
    const { guard } = await readyDevice(server, { publishers, clock });
    const small = await guard.getSmall({ name: 'net', version: '1' });
    const bigName = (await guard.models.get('net@1')).bigName;
    const part = await guard.openBig({ name: 'net', version: '1' }, bigName);
    const first = Buffer.concat([await part.read(0, 100)].flat());
    server.clock.advance(1000);
    expect(same(Buffer.concat([await part.read(0, 100)].flat()), first)).toBe(true);
    expect(small.length + part.size).toBeGreaterThan(plain.length);
    expect((await part.tree())?.length).toBeGreaterThan(0);
  });
});

describe('without the server', () => {
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.close());

  it('a kept lease opens until its offline-until, and ends at once when the server says so', async () => {
    const clock = new MachineClock(server);
    const { guard, device } = await readyDevice(server, { publishers, clock });
    const facts = await guard.lease('net@1');
    expect(facts.source).toBe('server');
    // A port without a listener, under the same state.
    const away = clientOf(server, { device, publishers, clock, url: 'http://127.0.0.1:1' });
    expect((await away.lease('net@1')).source).toBe('kept');
    const { bigName } = await guard.models.get('net@1');
    const bigs = fileStore(join(server.folder, 'bigs'));
    const part = await guard.openBig({ name: 'net', version: '1' }, bigName);
    const bytes = Buffer.concat([await part.read(0, part.size)].flat());
    await bigs.putBig({ name: 'net', version: '1' }, bigName, {
      size: part.size,
      stream: async function* () {
        yield bytes;
      },
      tree: () => new Uint8Array(),
    });
    using loaded = await load('net', { from: { small: away, big: bigs } });
    expect(same(loaded.bytes, plain)).toBe(true);
    // The URL of the big part opens for some minutes, to any holder.
    (await load('net@1', { from: away, cache: false })).dispose();
    (await load('net@1', { from: guard })).dispose();
    server.clock.advance(301);
    expect(await codeOf(() => load('net@1', { from: away, cache: false }))).toBe('SERVER_UNREACHABLE');
    // The second load needs no download.
    (await load('net@1', { from: away })).dispose();
    expect(await codeOf(() => away.lease('other@1'))).toBe('SERVER_UNREACHABLE');

    server.clock.advance(facts.offlineUntil - server.clock.now);
    expect((await away.lease('net@1')).source).toBe('kept');
    server.clock.advance(1);
    expect(await codeOf(() => away.lease('net@1'))).toBe('LEASE_EXPIRED');

    // With the server it goes on, until it is revoked.
    expect((await guard.lease('net@1')).source).toBe('server');
    expect((await away.lease('net@1')).source).toBe('kept');
    await clientOf(server, { role: 'admin' }).devices.revoke(facts.device);
    expect(await codeOf(() => guard.lease('net@1'))).toBe('DEVICE_REVOKED');
    expect(await codeOf(() => away.lease('net@1'))).toBe('SERVER_UNREACHABLE');
  });

  it('a clock that was set back opens nothing, over a restart either', async () => {
    const clock = new MachineClock(server);
    const { guard, device } = await readyDevice(server, { publishers, clock });
    await guard.lease('net@1');
    const away = clientOf(server, { device, publishers, clock, url: 'http://127.0.0.1:1' });
    server.clock.advance(1800);
    await away.lease('net@1');
    clock.offset = -121;
    expect(await codeOf(() => away.lease('net@1'))).toBe('CLOCK_SET_BACK');
    clock.restart();
    expect(await codeOf(() => away.lease('net@1'))).toBe('CLOCK_SET_BACK');
    clock.offset = -120;
    expect((await away.lease('net@1')).source).toBe('kept');
    clock.offset = 0;
  });

  it('a clock that is not the server’s is refused at once', async () => {
    const clock = new MachineClock(server);
    const { guard } = await readyDevice(server, { publishers, clock });
    await guard.lease('net@1');
    clock.offset = 121;
    expect(await codeOf(() => guard.lease('net@1'))).toBe('CLOCK_SKEWED');
    clock.offset = 119;
    expect((await guard.lease('net@1')).source).toBe('server');
  });
});
