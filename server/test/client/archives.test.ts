/**
 * Archives over the client: registered with a server, unlocked into a pipe and nowhere else; and administration through the
 * client.
 */
import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import {
  DeviceKey,
  encryptFile,
  MasterKey,
  type Progress,
  SigningKey,
  type UnlockState,
  unlock,
  verifyAuditLog,
} from '@org/model-guard';
import { deviceIdOf } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LegacyKey } from '../../../src/legacy/index.js';
import { codeOf, failureOf } from '../../../test/support/failures.js';
import { sealLegacy } from '../../../test/support/legacy.js';
import { clientOf, readyDevice } from '../support/clients.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { entitle } from '../support/story.js';

const plain = new Uint8Array(randomBytes(3_500_000));
const signer = SigningKey.generate();
const verifier = signer.publicKey;
const master = MasterKey.generate();
const keyString = 'the key string of an archive';
let server: TestServer;
let container: string;
let legacy: string;

beforeAll(async () => {
  server = await startTestServer();
  await server.listen();
  container = join(server.folder, 'images.mguard');
  legacy = join(server.folder, 'images.enc');
  const source = join(server.folder, 'images.tar');
  writeFileSync(source, plain);
  await encryptFile(source, container, { recipients: [master], signer });
  writeFileSync(legacy, sealLegacy(plain, keyString));
  const admin = clientOf(server, { role: 'admin' });
  await admin.archives.register(container, { name: 'images', key: master });
  await admin.archives.register(legacy, { name: 'old-images', key: await LegacyKey.fromKeyString({ text: keyString }) });
  for (const name of ['images', 'old-images', 'broken']) await entitle(server, 'operator', { kind: 'archive', name, seats: 50 });
});
afterAll(() => server.close());

/** Keeps the pieces that arrive, and counts those that were still whole then. */
class Sink extends Writable {
  readonly #hash = createHash('sha256');
  readonly pieces: Uint8Array[] = [];
  override _write(piece: Uint8Array, _: unknown, done: () => void): void {
    this.#hash.update(piece);
    this.pieces.push(piece);
    done();
  }
  get digest(): string {
    return this.#hash.digest('hex');
  }
}
const digest = createHash('sha256').update(plain).digest('hex');

describe('unlock', () => {
  it.each(['images', 'old-images'])('%s arrives whole, state by state, and is wiped behind it', async (name) => {
    const { guard } = await readyDevice(server);
    const states: UnlockState[] = [];
    const path = name === 'images' ? container : legacy;
    const unlocking = unlock(path, { from: guard, name, verifier, onState: (state) => states.push(state) });
    expect(unlocking.state).toBe('idle');
    const sink = new Sink();
    await unlocking.pipeTo(sink);
    expect(sink.digest).toBe(digest);
    expect(sink.pieces.length).toBeGreaterThan(3);
    expect(sink.pieces.every((piece) => piece.every((byte) => byte === 0))).toBe(true);
    expect(states).toEqual(['authenticating', 'fetchingKey', 'decrypting', 'done']);
    expect(unlocking.state).toBe('done');
  });

  it('tells how far it is: the file read, then bytes handed on; what that throws ends it', async () => {
    const { guard } = await readyDevice(server, { publishers: { images: verifier } });
    const told: Progress[] = [];
    await guard.unlock(container, { name: 'images', onProgress: (progress) => told.push(progress) }).pipeTo(new Sink());
    const of = (phase: Progress['phase']) => told.filter((one) => one.phase === phase);
    expect(of('verify').at(-1)).toMatchObject({ bytes: statSync(container).size, total: statSync(container).size, remaining: 0 });
    expect(of('decrypt')[0]).toMatchObject({ bytes: 0, total: plain.length });
    expect(of('decrypt').at(-1)).toMatchObject({ bytes: plain.length, total: plain.length, remaining: 0 });
    expect(told.map(({ phase }) => phase)).toEqual([...of('verify'), ...of('decrypt')].map(({ phase }) => phase));
    const sink = new Sink();
    const stopped = new Error('enough');
    const onProgress = ({ phase }: Progress): void => {
      if (phase === 'decrypt') throw stopped;
    };
    await expect(guard.unlock(container, { name: 'images', onProgress }).pipeTo(sink)).rejects.toBe(stopped);
    expect(sink.pieces).toEqual([]);
  });

  it('as a stream gives pieces that stay what they are', async () => {
    const { guard } = await readyDevice(server, { publishers: { images: verifier } });
    const pieces: Buffer[] = [];
    for await (const piece of guard.unlock(container, { name: 'images' }).stream) pieces.push(piece as Buffer);
    expect(Buffer.compare(Buffer.concat(pieces), plain)).toBe(0);
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(1024 * 1024);
  });

  it('sends no request before it is read, and names the signer to trust', async () => {
    const { guard } = await readyDevice(server);
    const unread = guard.unlock(container, { name: 'images' });
    expect(unread.state).toBe('idle');
    unread.stream.destroy();
    expect(await codeOf(() => guard.unlock(container, { name: 'images' }).pipeTo(new Sink()))).toBe('VERIFIER_REQUIRED');
    const wrong = SigningKey.generate().publicKey;
    const unlocking = guard.unlock(container, { name: 'images', verifier: wrong });
    expect(await codeOf(() => unlocking.pipeTo(new Sink()))).toBe('SIGNATURE_INVALID');
    expect(unlocking.state).toBe('failed');
    expect(unlocking.failure).toMatchObject({ code: 'SIGNATURE_INVALID' });
    await guard.unlock(container, { name: 'images', unsigned: 'accept' }).pipeTo(new Sink());
  });

  it('gives no key for a file that is not the one that was registered', async () => {
    const { guard } = await readyDevice(server);
    const changed = join(server.folder, 'changed.enc');
    const bytes = readFileSync(legacy);
    for (const change of [
      () => appendFileSync(changed, Buffer.alloc(16)),
      () => truncateSync(changed, bytes.length - 16),
      () => writeFileSync(changed, Buffer.concat([bytes.subarray(0, 40), Buffer.of((bytes[40] ?? 0) ^ 1), bytes.subarray(41)])),
    ]) {
      writeFileSync(changed, bytes);
      change();
      const before = server.logged.filter(({ path }) => String(path).endsWith('/unlock')).length;
      expect(await codeOf(() => guard.unlock(changed, { name: 'old-images' }).pipeTo(new Sink()))).toBe('ARCHIVE_CHANGED');
      expect(server.logged.filter(({ path }) => String(path).endsWith('/unlock')).length).toBe(before);
    }
    expect(await codeOf(() => guard.unlock(join(server.folder, 'none'), { name: 'images', verifier }).pipeTo(new Sink()))).toBe(
      'NOT_FOUND',
    );
  });

  it('is refused to pending and revoked devices, and for archives without an entitlement', async () => {
    const device = DeviceKey.generate();
    const waiting = clientOf(server, { device });
    await waiting.enroll('waiting');
    expect(await codeOf(() => waiting.unlock(legacy, { name: 'old-images' }).pipeTo(new Sink()))).toBe('DEVICE_NOT_APPROVED');
    const { guard, device: key } = await readyDevice(server);
    await clientOf(server, { role: 'admin' }).devices.revoke(deviceIdOf(key.publicKey.toString()));
    expect(await codeOf(() => guard.unlock(legacy, { name: 'old-images' }).pipeTo(new Sink()))).toBe('DEVICE_REVOKED');
    const { guard: companion } = await readyDevice(server, { role: 'companion' });
    expect(await codeOf(() => companion.unlock(legacy, { name: 'old-images' }).pipeTo(new Sink()))).toBe('NOT_AUTHORISED');
  });

  it.each<UnlockState>(['authenticating', 'fetchingKey', 'decrypting'])('ends with the signal while it is %s', async (when) => {
    const { guard } = await readyDevice(server);
    const controller = new AbortController();
    const onState = (state: UnlockState): void => {
      if (state === when) controller.abort('enough');
    };
    const unlocking = guard.unlock(legacy, { name: 'old-images', signal: controller.signal, onState });
    expect(await failureOf(() => unlocking.pipeTo(new Sink()))).toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });
    expect(unlocking.state).toBe('failed');
  });

  it('ends with the signal also while the pipe takes nothing, and where the pipe is gone before it is ended', async () => {
    const { guard } = await readyDevice(server);
    const controller = new AbortController();
    const stuck = new Writable({ write: () => setImmediate(() => controller.abort('enough')) });
    const unlocking = guard.unlock(legacy, { name: 'old-images', signal: controller.signal });
    expect(await failureOf(() => unlocking.pipeTo(stuck))).toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });
    expect(stuck.destroyed).toBe(true);
    const gone = new Sink();
    const onState = (state: UnlockState): void => {
      if (state === 'done') gone.destroy();
    };
    await expect(guard.unlock(legacy, { name: 'old-images', onState }).pipeTo(gone)).rejects.toThrow();
  });

  it('reads no container without its signature because the server calls it a legacy artifact', async () => {
    const { guard } = await readyDevice(server);
    const { db } = server.context;
    await db.updateTable('archives').set({ format: 'legacy' }).where('name', '=', 'images').execute();
    try {
      expect(await codeOf(() => guard.unlock(container, { name: 'images', verifier }).pipeTo(new Sink()))).toBe(
        'RESPONSE_INVALID',
      );
    } finally {
      await db.updateTable('archives').set({ format: 'container' }).where('name', '=', 'images').execute();
    }
  });

  it('ends with the pipe that breaks', async () => {
    const { guard } = await readyDevice(server);
    const target = new PassThrough();
    const unlocking = guard.unlock(legacy, { name: 'old-images' });
    target.once('data', () => target.destroy(new Error('gone')));
    await expect(unlocking.pipeTo(target)).rejects.toThrow('gone');
    expect(unlocking.state).toBe('failed');
  });

  it('writes nothing: not into the folder, nor into the state', async () => {
    const folder = (): string[] => readdirSync(server.folder, { recursive: true }).map(String).sort();
    const { guard } = await readyDevice(server);
    const before = folder().filter((file) => !/state|guard\.db/.test(file));
    await guard.unlock(legacy, { name: 'old-images' }).pipeTo(new Sink());
    expect(folder().filter((file) => !/state|guard\.db/.test(file))).toEqual(before);
  });
});

describe('registering an archive', () => {
  it('tries the key first', async () => {
    const { archives } = clientOf(server, { role: 'admin' });
    expect(await codeOf(() => archives.register(container, { name: 'broken', key: MasterKey.generate() }))).toBe(
      'NO_MATCHING_IDENTITY',
    );
    expect(await codeOf(() => archives.register(legacy, { name: 'broken', key: master }))).toBe('NOT_A_CONTAINER');
    expect(await codeOf(() => archives.register(legacy, { name: 'broken', key: DeviceKey.generate() as never }))).toBe(
      'KEY_TYPE_WRONG',
    );
    expect(await codeOf(() => archives.register(container, { name: 'images', key: master }))).toBe('ALREADY_EXISTS');
    const names: string[] = [];
    for await (const { name, sha256, size } of archives.list()) {
      names.push(name);
      expect([sha256, size]).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), expect.any(Number)]);
    }
    expect(names.sort()).toEqual(['images', 'old-images']);
  });
});

describe('administration', () => {
  it('of accounts, entitlements and leases', async () => {
    const root = clientOf(server, { role: 'apiAdmin' });
    const email = 'new@example.com';
    const user = await root.users.create({ email, password: 'seventeen purple umbrellas', role: 'operator' });
    expect((await root.users.update(user.id, { role: 'validator' })).role).toBe('validator');
    // More events than a page holds.
    const about = { action: 'users.read', outcome: 'success', resource: `account:${user.id}` } as const;
    const { subject } = await server.context.db
      .selectFrom('users')
      .select('subject')
      .where('id', '=', user.id)
      .executeTakeFirstOrThrow();
    await server.context.db.transaction().execute(async (trx) => {
      for (let event = 0; event < 1001; event++)
        await server.context.audit.append(trx, { ...about, subject, caller: { address: '', request: 'r' } });
    });
    const data = await root.users.export(user.id);
    expect(data.account.email).toBe(email);
    expect(data).not.toHaveProperty('next');
    expect(data.events.filter(({ action }) => action === 'users.read').length).toBe(1001);
    const entitlement = await root.entitlements.create({ name: 'net', account: user.id });
    expect(entitlement).toMatchObject({ kind: 'model', seats: 1, leaseSeconds: 86_400, offlineSeconds: 3600 });
    await root.entitlements.delete(entitlement.id);
    await root.users.erase(user.id);
    const emails: string[] = [];
    for await (const account of root.users.list()) emails.push(account.email);
    expect(emails).not.toContain(email);
    for await (const lease of root.leases.list({ active: true })) expect(lease.revoked).toBe(false);
    expect((await root.account.get()).role).toBe('apiAdmin');
  });

  it('of the audit log: an export verifies offline against a checkpoint', async () => {
    const root = clientOf(server, { role: 'apiAdmin' });
    const checkpoint = await root.audit.checkpoint();
    const { auditKey } = await root.server();
    const report = await verifyAuditLog(root.audit.export(), { checkpoint, key: auditKey });
    expect(report.covered).toBe(checkpoint.seq);
    const seqs: number[] = [];
    for await (const { seq } of root.audit.events({ action: 'auth.login' })) seqs.push(seq);
    expect(new Set(seqs).size).toBe(seqs.length);
  });

  it('of keys: what is published to the old one and the new one opens', async () => {
    const root = clientOf(server, { role: 'apiAdmin' });
    const before = (await root.server()).keys.find(({ state }) => state === 'current')?.key;
    const rotation = await root.keys.rotate({ acceptSeconds: 60 });
    expect(rotation.from).toBe(before);
    expect((await root.server()).keys.find(({ state }) => state === 'current')?.key).toBe(rotation.to);
    expect((await root.keys.rotation(rotation.id)).id).toBe(rotation.id);
    expect((await root.keys.list()).rotations.map(({ id }) => id)).toContain(rotation.id);
    const { guard } = await readyDevice(server);
    const sink = new Sink();
    await guard.unlock(legacy, { name: 'old-images' }).pipeTo(sink);
    expect(sink.digest).toBe(digest);
  });
});
