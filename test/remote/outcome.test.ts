/**
 * A change whose answer is lost may have been made. An error that says otherwise lets a model be released that its owner believes to be held
 * back, or has a change made twice.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { errorText } from '../../src/cli/exit.js';
import { type RouteName, routes } from '../../src/contract/index.js';
import { encryptFile, type GuardServer, MasterKey, protect, SigningKey } from '../../src/index.js';
import { isChanging } from '../../src/remote/outcome.js';
import { encode, nonceFor } from '../../src/server-kit/index.js';
import { failureOf } from '../support/failures.js';
import { fakeClient } from '../support/fake-client.js';
import { FakeGuard, failure, type Handler, type Model, randomHex } from '../support/fake-guard.js';
import { Random } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('outcome');
const file = path.join(base, 'net.onnx');
const archive = path.join(base, 'images');
const fake = new FakeGuard();
const signer = SigningKey.generate();
const random = new Random(18);
let model: Model;
beforeAll(async () => {
  await fake.listen();
  model = await fake.publish('net', '1', 1, random.bytes(100_000));
  writeFileSync(file, random.bytes(10_000));
});
afterAll(() => fake.close());
afterEach(() => fake.restore());
const client = (more = {}) => fakeClient(fake, { state: path.join(base, 'state'), ...more });

const id = randomHex(16);
const payloadId = randomHex(16);
const version = {
  ...{
    name: 'net',
    version: '1',
    ordinal: 1,
    state: 'pending',
    format: 'onnx',
    digest: 'a'.repeat(64),
    smallBytes: 1,
    bigBytes: 1,
  },
  ...{ publisher: `mgs1:${'A'.repeat(43)}`, publishedBy: id, created: 1, payloadId, bigName: `${payloadId}-0` },
};
const device = {
  ...{ id, account: id, name: 'a bench', publicKey: `mgd1:${'A'.repeat(86)}`, fingerprint: 'x', sealed: false },
  ...{ state: 'pending', created: 1 },
};
const account = { id, email: 'a@example.com', role: 'admin', disabled: false, mustChangePassword: false, created: 1 };
const keys = [fake.publisher.publicKey.toString()];
const entitlement = { name: 'net', kind: 'model', account: id } as const;

/** A proxy, or the network, loses the answer. */
const LOST: readonly (readonly [string, Handler])[] = [
  ['a proxy gives up', () => ({ status: 504, bytes: Buffer.from('<h1>Gateway Time-out</h1>') })],
  ['a proxy answers with a page of its own', () => ({ status: 200, bytes: Buffer.from('<h1>Welcome</h1>') })],
  ['a proxy loses patience', () => ({ status: 408, bytes: Buffer.from('') })],
  ['a proxy redirects', () => ({ status: 302, headers: { location: 'https://elsewhere.example.com/' } })],
  ['the server fails at the end', () => failure(500, 'SERVER_FAILED')],
  ['the connection breaks', (_, response) => void response.destroy()],
];
const [, gateway] = LOST[0] as (typeof LOST)[number];

interface Change {
  readonly route: RouteName;
  readonly make: (guard: GuardServer, signal?: AbortSignal) => Promise<unknown>;
  /** The question that tells whether it was made, and the answers before and after. Absent where none does. */
  readonly find?: { readonly route: RouteName; readonly before: Handler; readonly after: Handler };
}
const json =
  (value: unknown): Handler =>
  () => ({ json: value });
const decision = (state: string) => ({
  route: 'getVersion' as const,
  before: json(version),
  after: json({ ...version, state }),
});
const notFound: Handler = () => failure(404, 'NOT_FOUND');

const CHANGES: readonly Change[] = [
  {
    route: 'releaseVersion',
    make: (guard, signal) => guard.release('net@1', { payloadId, ...of(signal) }),
    find: decision('released'),
  },
  {
    route: 'rejectVersion',
    make: (guard, signal) => guard.reject('net@1', { payloadId, ...of(signal) }),
    find: decision('rejected'),
  },
  { route: 'revokeVersion', make: (guard, signal) => guard.revoke('net@1', of(signal)), find: decision('revoked') },
  {
    route: 'setPublishers',
    make: (guard, signal) => guard.publishers.set('net', keys, of(signal)),
    find: { route: 'getPublishers', before: json({ keys: [] }), after: json({ keys }) },
  },
  {
    route: 'approveDevice',
    make: (guard, signal) => guard.devices.approve(id, 'ab'.repeat(32), of(signal)),
    find: { route: 'getDevice', before: json(device), after: json({ ...device, state: 'approved' }) },
  },
  {
    route: 'revokeDevice',
    make: (guard, signal) => guard.devices.revoke(id, of(signal)),
    find: { route: 'getDevice', before: json(device), after: json({ ...device, state: 'revoked' }) },
  },
  {
    route: 'updateUser',
    make: (guard, signal) => guard.users.update(id, { disabled: true }, of(signal)),
    find: { route: 'getUser', before: json(account), after: json({ ...account, disabled: true }) },
  },
  {
    route: 'eraseUser',
    make: (guard, signal) => guard.users.erase(id, of(signal)),
    find: { route: 'getUser', before: json(account), after: notFound },
  },
  {
    route: 'deleteArchive',
    make: (guard, signal) => guard.archives.delete('images', of(signal)),
    find: {
      route: 'getArchive',
      before: json({ name: 'images', format: 'legacy', sha256: 'a'.repeat(64), size: 1, registeredBy: id, created: 1 }),
      after: notFound,
    },
  },
  { route: 'createEntitlement', make: (guard, signal) => guard.entitlements.create(entitlement, of(signal)) },
  { route: 'deleteEntitlement', make: (guard, signal) => guard.entitlements.delete(id, of(signal)) },
  { route: 'revokeLease', make: (guard, signal) => guard.leases.revoke(id, of(signal)) },
  {
    route: 'createUser',
    make: (guard, signal) =>
      guard.users.create({ email: 'b@example.com', password: 'a password of a test', role: 'operator' }, of(signal)),
  },
  {
    route: 'changePassword',
    make: (guard, signal) => guard.account.changePassword('the old password', 'the new password', of(signal)),
  },
  { route: 'resetUserPassword', make: (guard, signal) => guard.users.resetPassword(id, 'a password of a test', of(signal)) },
  { route: 'rotateKeys', make: (guard, signal) => guard.keys.rotate(of(signal)) },
  { route: 'rotateSigningKey', make: (guard, signal) => guard.keys.rotateSigning(of(signal)) },
];
const of = (signal: AbortSignal | undefined) => (signal ? { signal } : {});
const findable = CHANGES.filter((change): change is Required<Change> => change.find !== undefined);
const others = CHANGES.filter(({ find }) => find === undefined);

/** Answers `before` twice, as a server does that is still at it, then `after`. */
const later = ({ route, before, after }: NonNullable<Change['find']>): void => {
  let asked = 0;
  fake.on(route, (...given) => (++asked > 2 ? after : before)(...given));
};
/** Holds the answer back until the caller gives up. */
const held = (route: RouteName): { readonly signal: AbortSignal } => {
  const controller = new AbortController();
  fake.on(route, () => {
    controller.abort(new Error('SIGINT'));
    return undefined;
  });
  return controller;
};

describe('a change whose answer is lost', () => {
  it.each(LOST.flatMap(([name, lost]) => findable.map((change) => ({ name, lost, ...change }))))(
    '$route: is found where it was made after all ($name)',
    async ({ route, make, find, lost }) => {
      fake.on(route, lost);
      later(find);
      await make(client().guard);
      expect([fake.count(route), fake.count(find.route)]).toEqual([1, 3]);
    },
  );

  it.each(findable)('$route: is unknown where it does not show in time', async ({ route, make, find }) => {
    fake.on(route, gateway);
    fake.on(find.route, find.before);
    const error = await failureOf(() => make(client().guard));
    expect(error).toMatchObject({ code: 'SERVER_FAILED', outcome: 'unknown' });
    expect(error.message).toMatch(/status 504\. It may have been done all the same\. /);
    expect(fake.count(route)).toBe(1);
  });

  it.each(others)('$route: is unknown, and the message says where to look', async ({ route, make }) => {
    fake.on(route, gateway);
    const error = await failureOf(() => make(client().guard));
    expect(error).toMatchObject({ code: 'SERVER_FAILED', outcome: 'unknown' });
    expect(error.message).toMatch(/It may have been done all the same\. (Look|Log in)/);
    expect(fake.count(route)).toBe(1);
  });

  it('is found after a cancellation too: it came too late', async () => {
    for (const { route, make, find } of findable) {
      later(find);
      await make(client().guard, held(route).signal);
    }
  });

  it.each(CHANGES)('$route: is unknown after a cancellation, and nothing is promised', async ({ route, make, find }) => {
    if (find) fake.on(find.route, find.before);
    const { signal } = held(route);
    const error = await failureOf(() => make(client().guard, signal));
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', outcome: 'unknown', cause: signal.reason });
    expect(error.message).not.toContain('still is');
  });

  it('is not looked for by those who may not look', async () => {
    fake.on('releaseVersion', gateway);
    fake.on('getVersion', () =>
      failure(403, 'NOT_AUTHORISED', 'no', { 'www-authenticate': 'Bearer error="insufficient_scope"' }),
    );
    const error = await failureOf(() => client().guard.release('net@1', { payloadId }));
    expect(error).toMatchObject({ code: 'SERVER_FAILED', outcome: 'unknown' });
    expect(fake.count('getVersion')).toBe(1);
  });

  it('a password is not tried: that would count towards the lock-out', async () => {
    fake.on('changePassword', gateway);
    await failureOf(() => client().guard.account.changePassword('the old password', 'the new password'));
    expect(fake.count('token')).toBe(1);
  });
});

describe('a change that was not made', () => {
  const release = (guard: GuardServer, signal?: AbortSignal) => guard.release('net@1', { payloadId, ...of(signal) });

  it.each<[string, Handler, string]>([
    ['is refused', () => failure(409, 'REVIEW_OUTDATED'), 'REVIEW_OUTDATED'],
    ['comes too early', () => failure(429, 'RATE_LIMITED', 'no', { 'retry-after': '3600' }), 'RATE_LIMITED'],
    ['is too long for a proxy', () => ({ status: 413, bytes: Buffer.from('') }), 'LIMIT_EXCEEDED'],
    ['finds no database', () => failure(503, 'SERVER_FAILED', 'no', { 'retry-after': '3600' }), 'SERVER_FAILED'],
  ])('%s: its outcome is known', async (_, handler, code) => {
    fake.on('releaseVersion', handler);
    const error = await failureOf(() => release(client().guard));
    expect([error.code, 'outcome' in error]).toEqual([code, false]);
    expect(fake.count('getVersion')).toBe(0);
  });

  it('is too long for a proxy: the administrator of the proxy is named', async () => {
    fake.on('releaseVersion', () => ({ status: 413, bytes: Buffer.from('') }));
    expect((await failureOf(() => release(client().guard))).message).toBe(
      'A proxy refuses the request as too long (status 413). Have the administrator of the proxy allow longer requests.',
    );
  });

  it('was never sent: the server is not there, or proves nothing', async () => {
    const away = await failureOf(() => release(client({ url: 'http://127.0.0.1:1' }).guard));
    expect([away.code, 'outcome' in away]).toEqual(['SERVER_UNREACHABLE', false]);
    fake.on('serverKey', gateway);
    const unproved = await failureOf(() => release(client().guard));
    expect([unproved.code, 'outcome' in unproved]).toEqual(['SERVER_FAILED', false]);
  });

  it('was cancelled before it was sent', async () => {
    const { signal } = held('serverKey');
    const error = await failureOf(() => release(client().guard, signal));
    expect([error.code, 'outcome' in error]).toEqual(['ABORT_ERR', false]);
    expect(fake.count('releaseVersion')).toBe(0);
  });
});

describe('a publication', () => {
  const publish = (guard: GuardServer, more = {}) =>
    protect(file, { name: 'net', version: '7', signer, to: guard, recipients: [fake.encryption.publicKey], ...more });
  /** What the server has of the version: nothing, until `made`. */
  const store = (made: () => boolean): void => {
    fake.on('listVersions', () => {
      const part = fake.asked.find(({ name }) => name === 'publishVersion');
      if (!part || !made()) return { json: { items: [] } };
      const sent = fake.asked.find(({ name }) => name === 'putPart')?.params.part ?? '';
      return { json: { items: [{ ...version, version: '7', payloadId: sent.split('-')[0], state: 'released' }] } };
    });
    fake.on('putPart', ({ params, body }) => ({ status: 201, json: { name: params.part, size: body.length } }));
  };

  it('that a proxy gave up on is found once the server is done with it', async () => {
    let asked = 0;
    store(() => ++asked > 3);
    fake.on('publishVersion', gateway);
    expect(await publish(client().guard)).toMatchObject({ ref: 'net@7', state: 'released' });
    expect(fake.count('publishVersion')).toBe(1);
  });

  it('that was cancelled too late is published', async () => {
    store(() => true);
    const { signal } = held('publishVersion');
    expect(await publish(client().guard, { signal })).toMatchObject({ ref: 'net@7', state: 'released' });
  });

  it('that was cancelled names the payload to look for', async () => {
    store(() => false);
    const { signal } = held('publishVersion');
    const error = await failureOf(() => publish(client().guard, { signal }));
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', outcome: 'unknown', cause: signal.reason });
    const sent = fake.asked.find(({ name }) => name === 'putPart')?.params.part?.split('-')[0];
    expect(error.message).toContain(`(net@7, payload ${sent})`);
    expect(error.message).toContain('model-guard models show');
  });

  it('is not taken for another one of that name', async () => {
    fake.on('publishVersion', gateway);
    fake.on('listVersions', () => ({ json: { items: [version] } }));
    const error = await failureOf(() => client().guard.putSmall({ name: 'net', version: '1' }, model.small));
    expect(error).toMatchObject({ code: 'SERVER_FAILED', outcome: 'unknown' });
  });
});

it('an enrolment whose answer is lost is told how it stands', async () => {
  const { guard, device: key, deviceId } = client();
  const publicKey = key.publicKey.toString();
  fake.on('challengeDevice', () => {
    const challenge = encode(random.bytes(32));
    const { sealed: nonce } = nonceFor(publicKey, fake.id, challenge);
    return { json: { challenge, expires: fake.now + 60, nonce, serverId: fake.id } };
  });
  fake.on('enrollDevice', gateway);
  fake.on('getDevice', json({ ...device, id: deviceId, publicKey }));
  expect(await guard.enroll('a bench')).toMatchObject({ state: 'pending' });
  fake.on('getDevice', notFound);
  const error = await failureOf(() => guard.enroll('a bench'));
  expect(error).toMatchObject({ outcome: 'unknown' });
  expect(error.message).toContain('model-guard enroll');
});

it('an archive whose registration lost its answer is found by its digest', async () => {
  writeFileSync(archive, random.bytes(1000));
  const { guard } = client();
  const key = MasterKey.generate();
  const container = path.join(base, 'images.mguard');
  await encryptFile(archive, container, { recipients: [key], name: 'images', version: '1' });
  fake.on('registerArchive', gateway);
  fake.on('getArchive', () => {
    const { json: sent } = fake.asked.find(({ name }) => name === 'registerArchive') ?? { json: {} };
    return { json: { ...sent, registeredBy: id, created: 1 } };
  });
  expect(await guard.archives.register(container, { name: 'images', key })).toMatchObject({ name: 'images' });
  expect(fake.count('registerArchive')).toBe(1);
});

it('every route that changes something for others to see is one of these', () => {
  const tested = [...CHANGES.map(({ route }) => route), 'publishVersion', 'enrollDevice', 'registerArchive', 'stateRestored'];
  const changing = Object.keys(routes).filter((name) => isChanging(name as Parameters<typeof isChanging>[0]));
  expect(changing.sort()).toEqual(tested.sort());
});

it('the command line tells machines that the outcome is not known', async () => {
  fake.on('rotateKeys', gateway);
  const error = await failureOf(() => client().guard.keys.rotate());
  expect(JSON.parse(errorText(error, true) ?? '')).toEqual({
    error: { code: 'SERVER_FAILED', message: error.message, outcome: 'unknown' },
  });
});
