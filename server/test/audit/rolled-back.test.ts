/**
 * A log that was rolled back and has grown again. Clients send the position that they keep; if these fail, later events hide the
 * lost ones.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DeviceKey, encryptFile, type GuardServer, MasterKey, ModelGuardError, SigningKey } from '@org/model-guard';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, failureOf } from '../../../test/support/failures.js';
import { clientOf, readyDevice } from '../support/clients.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { entitle, Publisher } from '../support/story.js';

let server: TestServer;
let archive: string;
const signer = SigningKey.generate();

beforeAll(async () => {
  server = await startTestServer();
  await server.listen();
  const publisher = new Publisher(server);
  await publisher.register();
  await publisher.publish();
  await entitle(server, 'operator', { seats: 50 });
  archive = join(server.folder, 'images.mguard');
  const [plain, key] = [join(server.folder, 'images.tar'), MasterKey.generate()];
  writeFileSync(plain, randomBytes(1000));
  await encryptFile(plain, archive, { recipients: [key], signer });
  await clientOf(server, { role: 'admin' }).archives.register(archive, { name: 'images', key });
  await entitle(server, 'operator', { kind: 'archive', name: 'images', seats: 50 });
});
afterAll(() => server.close());

const lastEvent = async (): Promise<{ seq: number; head: string }> => {
  const row = await server.context.db.selectFrom('audit').selectAll().orderBy('seq', 'desc').limit(1).executeTakeFirstOrThrow();
  return { seq: row.seq, head: Buffer.from(row.head).toString('hex') };
};
/** Events, and time enough for a new checkpoint. */
async function grow(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) await server.request('apiAdmin', 'listUsers', { query: {} });
  server.clock.advance(10);
}
/** Replaces the log as a fail-over to an old copy does, or an attacker with write access to the database. */
async function cut(seq: number): Promise<void> {
  const { db } = server.context;
  await db.deleteFrom('audit').where('seq', '>', seq).execute();
  await db.deleteFrom('checkpoints').execute();
}
const unlocked = async (guard: GuardServer): Promise<void> => {
  for await (const _ of guard.unlock(archive, { name: 'images', verifier: signer.publicKey }).stream);
};

describe('a log that was cut and has grown past what a device saw', () => {
  let guard: GuardServer;
  let device: DeviceKey;
  let seen: { seq: number; head: string };
  const seats = async (): Promise<number> => (await server.context.db.selectFrom('leases').selectAll().execute()).length;

  beforeAll(async () => {
    ({ guard, device } = await readyDevice(server, { role: 'operator' }));
    const { seq } = await lastEvent();
    await grow(6);
    await guard.lease('defects');
    seen = await lastEvent();
    expect(seen.seq).toBeGreaterThan(seq + 6);
    await cut(seq);
    await grow(20);
    expect((await lastEvent()).seq).toBeGreaterThan(seen.seq);
  });

  it('is told at every place where a device takes a checkpoint, and nothing is handed out', async () => {
    const before = await seats();
    for (const asking of [() => guard.lease('defects'), () => unlocked(guard)]) {
      expect(await codeOf(asking)).toBe('AUDIT_LOG_ROLLED_BACK');
      server.clock.advance(10);
    }
    const asAdmin = clientOf(server, { role: 'admin', device });
    expect(await codeOf(() => asAdmin.audit.checkpoint())).toBe('AUDIT_LOG_ROLLED_BACK');
    expect(await seats(), 'the refusal comes before the seat').toBe(before);
  });

  it('is written down at the server, where its administrator finds it', async () => {
    await codeOf(() => guard.lease('defects'));
    const found = await server.context.db
      .selectFrom('audit')
      .selectAll()
      .where('action', '=', 'leases.take')
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirstOrThrow();
    expect(found.outcome).toBe('denied');
  });

  it('is nothing to a device that kept nothing of it', async () => {
    const other = await readyDevice(server, { role: 'operator' });
    expect((await other.guard.lease('defects')).source).toBe('server');
  });

  it('tells the device what to tell the administrator', async () => {
    const { message } = await failureOf(() => guard.lease('defects'));
    expect(message).toContain(`event ${seen.seq}`);
    expect(message).toContain(`head ${seen.head}`);
  });

  describe('after a restore that was meant', () => {
    const root = (): GuardServer => clientOf(server, { role: 'apiAdmin' });

    it('an administrator alone has the server state it, and only of lost positions', async () => {
      expect(await codeOf(() => clientOf(server, { role: 'admin' }).audit.stateRestored(seen))).toBe('NOT_AUTHORISED');
      expect(await codeOf(async () => root().audit.stateRestored(await lastEvent()))).toBe('INVALID_ARGUMENT');
      const { statement, fingerprint } = await root().audit.stateRestored(seen);
      expect(fingerprint).toMatch(/^([0-9a-f]{4} ){9}[0-9a-f]{4}$/);
      const event = await server.context.db
        .selectFrom('audit')
        .selectAll()
        .where('action', '=', 'audit.restore')
        .where('outcome', '=', 'success')
        .executeTakeFirstOrThrow();
      expect(event.resource).toBe(`event:${seen.seq}`);
      // A statement alone changes nothing: it is to be confirmed.
      expect(await codeOf(() => guard.lease('defects'))).toBe('AUDIT_LOG_ROLLED_BACK');
      expect(JSON.parse(Buffer.from(statement.payload, 'base64url').toString())).toMatchObject({ kind: 'restored', lost: seen });
    });

    it('a device accepts it by its fingerprint, and holds the server to the restored log', async () => {
      const { statement, fingerprint } = await root().audit.stateRestored(seen);
      const wrong = fingerprint.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
      const refused = await failureOf(() => guard.audit.acceptRestored(statement, wrong));
      expect(refused.code).toBe('INVALID_ARGUMENT');
      // The right one would be copied from the message, and not compared.
      expect(refused.message).not.toContain(fingerprint.slice(1));
      const changed = { ...statement, payload: `${statement.payload.slice(0, -4)}AAAA` };
      expect(await codeOf(() => guard.audit.acceptRestored(changed, fingerprint))).toBe('INVALID_ARGUMENT');
      expect(await codeOf(() => root().audit.acceptRestored(statement, fingerprint))).toBe('INVALID_ARGUMENT');
      // Spaces and case are how people write it down.
      await guard.audit.acceptRestored(statement, fingerprint.replaceAll(' ', '').toUpperCase());
      await guard.lease('defects');
      await unlocked(guard);
      // The newer position is kept again.
      const { seq } = await lastEvent();
      await grow(1);
      await guard.lease('defects');
      await cut(seq);
      await grow(80);
      expect(await codeOf(() => guard.lease('defects'))).toBe('AUDIT_LOG_ROLLED_BACK');
      // The statement from before gives up nothing of that.
      expect(await codeOf(() => guard.audit.acceptRestored(statement, fingerprint))).toBe('AUDIT_LOG_ROLLED_BACK');
    });

    it('a statement gives up no more than the position that it names', async () => {
      const own = await readyDevice(server, { role: 'operator' });
      await own.guard.lease('defects');
      const kept = await lastEvent();
      const { statement, fingerprint } = await root().audit.stateRestored({ seq: kept.seq - 1, head: 'ab'.repeat(48) });
      const refused = await failureOf(() => own.guard.audit.acceptRestored(statement, fingerprint));
      expect(refused).toBeInstanceOf(ModelGuardError);
      expect(refused.code).toBe('AUDIT_LOG_ROLLED_BACK');
    });
  });
});
