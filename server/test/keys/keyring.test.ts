/** The server's keys. If these fail, a key is lost, or a server runs with keys that are not its own. */
import { chmod, mkdir, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DeviceKey, encryptionKeyOf, SigningKey } from '@org/model-guard/server-kit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findCurrentKey } from '../../src/keys/current-key.js';
import { ServerKeyring } from '../../src/keys/keyring.js';
import { outcomeOf } from '../support/outcomes.js';
import { startTestServer, type TestServer } from '../support/server.js';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.close());

const keysFolder = () => join(server.folder, 'keys');
/** Without the file that names their database. */
const keyFiles = async () => (await readdir(keysFolder())).filter((name) => name.endsWith('.key'));
const current = async () => encryptionKeyOf(await findCurrentKey(server.context));
const rows = () => server.context.db.selectFrom('encryption_keys').select(['key', 'state', 'until']).orderBy('created').execute();

describe('the keyring', () => {
  it('makes four key files for this user alone, and finds them again', async () => {
    const names = await keyFiles();
    expect(names.sort()).toEqual(['audit.key', expect.stringMatching(/^encryption-[\w-]{16}\.key$/), 'field.key', 'signing.key']);
    for (const name of names) expect((await stat(join(keysFolder(), name))).mode & 0o777).toBe(0o600);
    const before = await current();
    server = await server.restart();
    expect(await current()).toBe(before);
    expect(await keyFiles()).toHaveLength(4);
  });

  it('takes keys that are mounted as secrets, and makes none beside them', async () => {
    const secrets = join(server.folder, 'secrets');
    await mkdir(secrets);
    for (const name of await keyFiles()) {
      const bare = name.startsWith('encryption-') ? 'encryption' : name.replace('.key', '');
      await rename(join(keysFolder(), name), join(secrets, `model_guard_${bare}_key`));
    }
    const before = await current();
    server = await server.restart();
    expect(await current()).toBe(before);
    expect(await keyFiles()).toEqual([]);
  });

  it('does not take a mounted key that the database was not made with', async () => {
    const secrets = join(server.folder, 'secrets');
    await mkdir(secrets);
    await SigningKey.generate().save(join(secrets, 'model_guard_signing_key'));
    await expect(server.restart()).rejects.toMatchObject({ code: 'KEY_INVALID' });
  });

  it('adds a key for a rotation, keeps the one before, and drops it for good', async () => {
    const { keys, db } = server.context;
    const before = await current();
    const key = await keys.make();
    const after = encryptionKeyOf(key);
    await db.transaction().execute((trx) => keys.promote(trx, key, 2_000_000_000, server.clock.now + 1));
    await keys.reload(db);
    expect(await current()).toBe(after);
    expect(keys.find(before)).toBeDefined();
    expect(keys.all()).toHaveLength(2);
    expect(await rows()).toEqual([
      { key: before, state: 'retiring', until: 2_000_000_000 },
      { key: after, state: 'current', until: null },
    ]);
    server = await server.restart();
    expect(await current()).toBe(after);
    expect(server.context.keys.find(before)).toBeDefined();
    await server.context.db.transaction().execute((trx) => server.context.keys.remove(trx, before));
    await server.context.keys.discard(before);
    expect(server.context.keys.find(before)).toBeUndefined();
    expect(await keyFiles()).toHaveLength(4);
  });

  describe('in production', () => {
    const open = (secretsFolder = server.config.secretsFolder) => {
      const places = { keysFolder: keysFolder(), secretsFolder, production: true };
      return ServerKeyring.open(places, server.context.db, () => server.clock.now);
    };
    const refused = { code: 'PERMISSION_DENIED', message: expect.stringContaining('chmod 600') };

    it('takes no key file that other users can read or write', async () => {
      await open();
      for (const name of await keyFiles()) {
        await chmod(join(keysFolder(), name), 0o640);
        await expect(open(), name).rejects.toMatchObject(refused);
        await chmod(join(keysFolder(), name), 0o600);
      }
    });

    it('takes a mounted one that its group can read, and no more than that', async () => {
      const secrets = join(server.folder, 'mounted');
      const key = join(secrets, 'model_guard_audit_key');
      await mkdir(secrets);
      await rename(join(keysFolder(), 'audit.key'), key);
      await chmod(key, 0o440);
      await open(secrets);
      for (const mode of [0o444, 0o660, 0o602]) {
        await chmod(key, mode);
        await expect(open(secrets), mode.toString(8)).rejects.toMatchObject(refused);
      }
    });
  });

  it('never drops the current key', async () => {
    const { keys, db } = server.context;
    const key = await current();
    await db.transaction().execute((trx) => keys.remove(trx, key));
    expect(await rows()).toEqual([{ key, state: 'current', until: null }]);
  });

  it('completes what a killed process left: a file without a row, a removed row with a file', async () => {
    const { keys, db } = server.context;
    const before = await current();
    const orphan = await keys.make();
    server = await server.restart();
    expect(await current()).toBe(before);
    expect(server.context.keys.find(encryptionKeyOf(orphan))).toBeUndefined();
    const next = await server.context.keys.make();
    await server.context.db.transaction().execute(async (trx) => {
      await server.context.keys.promote(trx, next, 1, server.clock.now + 1);
      await server.context.keys.remove(trx, before);
    });
    server = await server.restart();
    expect(await current()).toBe(encryptionKeyOf(next));
    expect((await keyFiles()).some((name) => name.includes(before.slice(5, 21)))).toBe(false);
    expect(db).not.toBe(server.context.db);
  });

  it('takes up the key whose row the first start could not write', async () => {
    const before = await current();
    await server.context.db.deleteFrom('encryption_keys').execute();
    server = await server.restart();
    expect(await current()).toBe(before);
  });

  it('names a missing key to operators, and tells clients that the server failed', async () => {
    const { keys, db } = server.context;
    const lost = DeviceKey.generate();
    await db.transaction().execute((trx) => keys.promote(trx, lost, 2_000_000_000, server.clock.now + 1));
    await expect(findCurrentKey(server.context)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining(`The encryption key ${encryptionKeyOf(lost)}, which the database names`),
    });
    expect(outcomeOf(await server.request('apiAdmin', 'rotateKeys', { body: {} }))).toBe('500 SERVER_FAILED');
  });

  it('does not start without a key that its database needs', async () => {
    const [name] = (await keyFiles()).filter((file) => file.startsWith('encryption-'));
    await rename(join(keysFolder(), String(name)), join(server.folder, 'elsewhere'));
    await DeviceKey.generate().save(join(keysFolder(), 'encryption-AAAAAAAAAAAAAAAA.key'));
    await expect(server.restart()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
