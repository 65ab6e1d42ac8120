/** The encryption key is replaced while everything goes on: nothing stays under the old key, and nothing of it is done by halves. */
import { existsSync } from 'node:fs';
import { MasterKey } from '@org/model-guard';
import {
  type Checkpoint,
  type DeviceKey,
  encode,
  encryptionKeyOf,
  type RouteAnswer,
  readStatement,
  unhex,
} from '@org/model-guard/server-kit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { handleOf } from '../../../src/keys/key.js';
import type { KeyHandle } from '../../../src/native/binding.js';
import { call } from '../../../src/native/index.js';
import type { AuditEvent } from '../../src/audit/open-events.js';
import { findCurrentKey } from '../../src/keys/current-key.js';
import { encryptionKeyFile } from '../../src/keys/files.js';
import { rewrapAll } from '../../src/keys/rewrap.js';
import { beginRotation } from '../../src/keys/rotation.js';
import { RotationWorker } from '../../src/keys/rotation-worker.js';
import { openServer } from '../../src/start/server.js';
import { onPostgres } from '../support/database.js';
import { outcomeOf } from '../support/outcomes.js';
import type { TestServer } from '../support/server.js';
import { entitle, Machine, type Publisher, startPublisher } from '../support/story.js';

type Rotation = RouteAnswer<'rotateKeys'>;
let server: TestServer;
let publisher: Publisher;
beforeEach(async () => {
  ({ server, publisher } = await startPublisher());
});
afterEach(() => server.close());

const rotate = (acceptSeconds = 3600) => server.request('apiAdmin', 'rotateKeys', { body: { acceptSeconds } });
const progress = async ({ id }: Rotation): Promise<Rotation> =>
  (await server.request('admin', 'getRotation', { params: { rotation: id } })).json();
async function finished(rotation: Rotation): Promise<Rotation> {
  return vi.waitFor(
    async () => {
      const now = await progress(rotation);
      expect(now.state).toBe('done');
      return now;
    },
    { timeout: 20_000, interval: 5 },
  );
}
const rotated = async (acceptSeconds?: number): Promise<Rotation> => {
  const answer = await rotate(acceptSeconds);
  expect(answer.statusCode, answer.body).toBe(202);
  return finished(answer.json());
};
const statement = async () => {
  const { server: said } = (await server.request('operator', 'server')).json();
  const trusted = [server.context.keys.signing.publicKey.toString()];
  return readStatement('server', said, { trusted, server: server.context.serverId });
};
const wrappedTo = async (): Promise<string[]> => {
  const { db } = server.context;
  const versions = await db.selectFrom('versions').select('wrapped_to').execute();
  const archives = await db.selectFrom('archives').select('wrapped_to').execute();
  return [...new Set([...versions, ...archives].map((row) => row.wrapped_to))];
};
async function register(name: string, to: DeviceKey): Promise<void> {
  const [x25519] = [call((native) => native.publicKeys(handleOf(to) as KeyHandle)).x25519 as Uint8Array];
  const fragment = handleOf(MasterKey.generate()) as KeyHandle;
  const sealed = call((native) => native.sealFragment(fragment, x25519, unhex(server.context.serverId), name));
  const body = { name, format: 'container', sha256: '0'.repeat(64), size: 1, fragment: encode(sealed) } as const;
  expect(outcomeOf(await server.request('admin', 'registerArchive', { body }))).toBe('201');
}

describe('a rotation', () => {
  it('wraps every small part and fragment to a new key; leases and unlocks work before and after', async () => {
    const before = encryptionKeyOf(await findCurrentKey(server.context));
    const made = await publisher.publish();
    await register('library', await findCurrentKey(server.context));
    await entitle(server, 'operator');
    await entitle(server, 'operator', { kind: 'archive', name: 'library' });
    const machine = await Machine.ready(server);
    const { big_name } = await server.context.db.selectFrom('versions').select('big_name').executeTakeFirstOrThrow();

    const done = await rotated();
    expect(done).toMatchObject({ state: 'done', from: before, total: 2, done: 2, finished: server.clock.now });
    expect(done.acceptUntil).toBe(server.clock.now + 3600);
    expect(done.notice).toMatch(/does not undo a leak.*rekey/s);
    expect(await wrappedTo()).toEqual([done.to]);
    expect(encryptionKeyOf(await findCurrentKey(server.context))).toBe(done.to);

    const lease = await machine.take({ name: 'defects' });
    expect(outcomeOf(lease)).toBe('201');
    expect(await machine.open(server, lease.json(), made.big, publisher.key)).toEqual(made.plain);
    expect(outcomeOf(await machine.unlock('library'))).toBe('200');
    expect((await server.context.db.selectFrom('versions').select('big_name').executeTakeFirstOrThrow()).big_name).toBe(big_name);
  });

  it('that a server without the column for it has ended is counted by its old key', async () => {
    await publisher.publish();
    const first = await rotated();
    await server.context.db.updateTable('rotations').set({ remaining: null }).where('id', '=', first.id).execute();
    await rotated();
    expect(await progress(first)).toMatchObject({ state: 'done', total: 1, done: 1 });
  });

  it('is answered at once, refuses a second one while it runs, and is audited at both ends', async () => {
    await publisher.publish();
    const caller = { address: '', request: 'r', account: server.accounts.apiAdmin };
    // Begun, and no worker runs.
    const rotation = await beginRotation(server.context, caller, 60);
    expect(rotation).toMatchObject({ state: 'running', total: 1, done: 0 });
    expect(outcomeOf(await rotate())).toBe('409 ALREADY_EXISTS');
    expect((await server.context.db.selectFrom('encryption_keys').select('key').execute()).length).toBe(2);
    const refusals = await server.request('admin', 'auditEvents', { query: { action: 'keys.rotate', outcome: 'failure' } });
    expect(refusals.json().items.map(({ personal }: AuditEvent) => personal?.detail)).toEqual(['ALREADY_EXISTS']);
    const worker = new RotationWorker(server.context);
    worker.wake();
    await worker.idle();
    expect(await progress(rotation)).toMatchObject({ state: 'done', done: 1 });
    expect(outcomeOf(await rotate())).toBe('202');
    const { items } = (await server.request('admin', 'auditEvents', { query: { resource: `rotation:${rotation.id}` } })).json();
    const actions = items.map(({ action, outcome }: { action: string; outcome: string }) => `${action} ${outcome}`);
    expect(actions).toContain('keys.rotate success');
    expect(actions).toContain('keys.rotated success');
  });

  it('of nothing is done at once; each is listed, newest first', async () => {
    const first = await rotated();
    expect(first).toMatchObject({ total: 0, done: 0 });
    const second = await rotated();
    expect(second.from).toBe(first.to);
    const { keys, rotations } = (await server.request('admin', 'keys')).json();
    expect(rotations.map(({ id }: Rotation) => id)).toEqual([second.id, first.id]);
    expect(keys).toMatchObject([{ key: second.to, state: 'current' }, { state: 'retiring' }, { state: 'retiring' }]);
    expect(keys[0]).not.toHaveProperty('until');
  });

  it('is told by the server statement: publications to the old key land until its date, and no longer', async () => {
    const old = encryptionKeyOf(await findCurrentKey(server.context));
    const inFlight = await publisher.make({ version: '1', recipient: old });
    const late = await publisher.make({ version: '2', recipient: old });
    const done = await rotated(600);
    expect((await statement()).keys).toEqual([
      { key: done.to, state: 'current' },
      { key: old, state: 'retiring', until: server.clock.now + 600 },
    ]);
    await publisher.upload(inFlight);
    expect(outcomeOf(await publisher.commit(inFlight))).toBe('201');
    expect(await wrappedTo()).toEqual([done.to]);
    server.clock.advance(601);
    expect((await statement()).keys).toEqual([{ key: done.to, state: 'current' }]);
    await publisher.upload(late);
    expect(outcomeOf(await publisher.commit(late))).toBe('409 NO_MATCHING_IDENTITY');
  });

  it('drops the old key for good once its date is past, not before, and not while something is wrapped to it', async () => {
    await publisher.publish();
    const old = encryptionKeyOf(await findCurrentKey(server.context));
    const file = encryptionKeyFile(server.config.keysFolder, old);
    await rotated(600);
    const worker = new RotationWorker(server.context);
    const tick = async (): Promise<boolean> => {
      worker.wake();
      await worker.idle();
      return existsSync(file);
    };
    server.clock.advance(600);
    expect(await tick()).toBe(true);
    server.clock.advance(60);
    const { wrapped_to } = await server.context.db.selectFrom('versions').select('wrapped_to').executeTakeFirstOrThrow();
    await server.context.db.updateTable('versions').set({ wrapped_to: old }).execute();
    expect(await tick()).toBe(true);
    await server.context.db.updateTable('versions').set({ wrapped_to }).execute();
    // The server's own worker is still at its work after the rotation: it may take the key first, and delete the file a moment later.
    await vi.waitFor(async () => expect(await tick()).toBe(false), { timeout: 30_000 });
    expect(server.context.keys.find(old)).toBeUndefined();
    expect((await server.request('admin', 'keys')).json().keys).toHaveLength(1);
    const { items } = (await server.request('admin', 'auditEvents', { query: { action: 'keys.remove' } })).json();
    expect(items).toMatchObject([{ outcome: 'success', resource: `key:${old}` }]);
  });

  it('ends although a small part is damaged, says so, and keeps the key that it needs', async () => {
    await publisher.publish({ version: '1' });
    await publisher.publish({ version: '2' });
    const old = encryptionKeyOf(await findCurrentKey(server.context));
    const damaged = Buffer.from('not a small part');
    await server.context.db.updateTable('versions').set({ small: damaged }).where('version', '=', '1').execute();
    const done = await rotated(0);
    expect(done).toMatchObject({ state: 'done', total: 2, done: 1 });
    const { items } = (await server.request('admin', 'auditEvents', { query: { action: 'keys.rotated' } })).json();
    expect(items[0]).toMatchObject({ outcome: 'failure', personal: { detail: '1 of 2' } });
    expect(server.logged).toContainEqual(expect.objectContaining({ resource: 'model:defects@1', code: 'NOT_A_CONTAINER' }));
    server.clock.advance(1000);
    const worker = new RotationWorker(server.context);
    worker.wake();
    await worker.idle();
    expect(server.context.keys.find(old)).toBeDefined();
  });

  it('counts what it left for good: under an older key too, and after a later rotation has wrapped it', async () => {
    await publisher.publish({ version: '1' });
    const { db } = server.context;
    const { small } = await db.selectFrom('versions').select('small').executeTakeFirstOrThrow();
    await db
      .updateTable('versions')
      .set({ small: Buffer.from('not a small part') })
      .execute();
    const first = await rotated();
    // Its small part is still wrapped to the key before the first rotation, not to the one that the second replaces.
    const second = await rotated();
    expect([first, second]).toMatchObject(Array(2).fill({ state: 'done', total: 1, done: 0 }));
    await db.updateTable('versions').set({ small }).execute();
    expect(await rotated()).toMatchObject({ total: 1, done: 1 });
    expect(await Promise.all([first, second].map(progress))).toEqual([first, second]);
  });

  it('does not undo what was published while it worked', async () => {
    await publisher.publish();
    const caller = { address: '', request: 'r', account: server.accounts.apiAdmin };
    const rotation = await beginRotation(server.context, caller, 60);
    const published = await publisher.make({ version: '1' });
    let overwritten = false;
    // Between reading and writing of the re-wrapping, the version is replaced.
    const { db } = server.context;
    const meddling = new Proxy(db, {
      get(target, name) {
        if (name === 'transaction' && !overwritten)
          return () => ({
            execute: async (task: Parameters<ReturnType<typeof db.transaction>['execute']>[0]) => {
              overwritten = true;
              await publisher.upload(published);
              expect(outcomeOf(await publisher.commit(published, { overwrite: true }))).toBe('201');
              return db.transaction().execute(task);
            },
          });
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    await rewrapAll({ ...server.context, db: meddling }, rotation.to, () => false);
    expect(overwritten).toBe(true);
    const row = await db.selectFrom('versions').selectAll().executeTakeFirstOrThrow();
    expect(row.wrapped_to).toBe(rotation.to);
    expect(published.bigName).toBe(row.big_name);
    await entitle(server, 'operator');
    await server.request('admin', 'releaseVersion', {
      params: { name: 'defects', version: '1' },
      body: { payloadId: row.payload_id },
    });
    const machine = await Machine.ready(server);
    const lease = await machine.take({ name: 'defects' });
    expect(await machine.open(server, lease.json(), published.big, publisher.key)).toEqual(published.plain);
  });

  it.skipIf(!onPostgres)('by another process on the same database is taken up by this one', async () => {
    await publisher.publish();
    await register('library', await findCurrentKey(server.context));
    await entitle(server, 'operator');
    await entitle(server, 'operator', { kind: 'archive', name: 'library' });
    const machine = await Machine.ready(server);
    const other = await openServer(server.config, { log: server.context.log, now: () => server.clock.now });
    const rotation = async () => {
      const caller = { address: '', request: 'r', account: server.accounts.apiAdmin };
      const { to } = await beginRotation(other.context, caller, 3600);
      const worker = new RotationWorker(other.context);
      worker.wake();
      await worker.idle();
      await worker.stop();
      expect(server.context.keys.find(to)).toBeUndefined();
    };
    try {
      await rotation();
      expect(outcomeOf(await machine.take({ name: 'defects' }))).toBe('201');
      await rotation();
      expect(outcomeOf(await machine.unlock('library'))).toBe('200');
      await rotation();
      const next = await publisher.make({ version: 'next' });
      await publisher.upload(next);
      expect(outcomeOf(await publisher.commit(next))).toBe('201');
    } finally {
      await other.close();
    }
  });

  it('goes on after a restart', async () => {
    const made = await publisher.publish();
    await entitle(server, 'operator');
    const caller = { address: '', request: 'r', account: server.accounts.apiAdmin };
    const rotation = await beginRotation(server.context, caller, 60);
    server = await server.restart();
    expect(await finished(rotation)).toMatchObject({ state: 'done', done: 1 });
    expect(await wrappedTo()).toEqual([rotation.to]);
    const machine = await Machine.ready(server);
    const lease = await machine.take({ name: 'defects' });
    expect(await machine.open(server, lease.json(), made.big, publisher.key)).toEqual(made.plain);
  });

  it('leaves neither key nor row behind when it cannot begin', async () => {
    const failing = {
      ...server.context,
      audit: { ...server.context.audit, append: () => Promise.reject(new RangeError('full')) },
    };
    const caller = { address: '', request: 'r', account: server.accounts.apiAdmin };
    const keysBefore = server.context.keys.all().length;
    await expect(beginRotation(failing, caller, 60)).rejects.toThrow('full');
    expect(server.context.keys.all()).toHaveLength(keysBefore);
    expect((await server.request('admin', 'keys')).json()).toMatchObject({ keys: [{ state: 'current' }], rotations: [] });
  });

  it('is found by its id alone', async () => {
    expect(outcomeOf(await server.request('admin', 'getRotation', { params: { rotation: '0'.repeat(32) } }))).toBe(
      '404 NOT_FOUND',
    );
  });
});

describe('the server statement', () => {
  it('names the keys of this server, its log and how tokens are signed', async () => {
    const { keys, serverId, logId } = server.context;
    expect(await statement()).toEqual({
      kind: 'server',
      server: serverId,
      time: server.clock.now,
      keys: [{ key: encryptionKeyOf(await findCurrentKey(server.context)), state: 'current' }],
      auditKey: keys.audit.publicKey.toString(),
      logId,
      tokens: 'EdDSA',
    });
    const checkpoint: Checkpoint = (await server.request('admin', 'auditCheckpoint')).json();
    expect(checkpoint.logId).toBe(logId);
  });
});
