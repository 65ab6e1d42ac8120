/** Keys and their database. If these fail, a database that is lost is taken for a first start: a new server under trusted keys. */
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/database/open.js';
import { checkDatabaseMarker } from '../../src/keys/database-marker.js';
import { ServerKeyring } from '../../src/keys/keyring.js';
import { configure, type Settings } from '../../src/start/config.js';
import { type OpenServer, openServer } from '../../src/start/server.js';
import { onPostgres, postgresDatabase, type TestDatabase } from '../support/database.js';

let folder: string;
let open: OpenServer | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-marker-'));
});
afterEach(async () => {
  await open?.close();
  open = undefined;
  await rm(folder, { recursive: true });
});

const at = (...names: string[]): string => join(folder, ...names);
const configured = (more: Partial<Settings> = {}) =>
  configure({ data: at('data'), secretsFolder: at('secrets'), port: 0, logLevel: 'silent', ...more }, {});
/** Starts and stops; the ids and keys of the server. */
async function started(more: Partial<Settings> = {}) {
  open = await openServer(configured(more));
  const { serverId, keys } = open.context;
  const facts = { server: serverId, signing: keys.signing.publicKey.toString(), first: open.firstPassword !== undefined };
  await open.close();
  open = undefined;
  return facts;
}
const removeDatabase = async (): Promise<void> => {
  for (const name of await readdir(at('data'))) if (name.startsWith('guard.db')) await rm(at('data', name));
};
const marker = async () => JSON.parse(await readFile(at('data', 'keys', 'database.json'), 'utf8'));

describe('a database that is lost', () => {
  it('is not taken for a first start, unless that is said; then the keys have a new server', async () => {
    const before = await started();
    await removeDatabase();
    const refused = {
      code: 'NOT_FOUND',
      message: expect.stringMatching(new RegExp(`${before.server}.*guard\\.db is empty.*--new-database`)),
    };
    await expect(started()).rejects.toMatchObject(refused);
    // Also a second time: the file that the refused start has made is empty.
    await expect(started()).rejects.toMatchObject(refused);
    const after = await started({ newDatabase: true });
    expect(after).toMatchObject({ signing: before.signing, first: true });
    expect(after.server).not.toBe(before.server);
    expect(await started()).toEqual({ ...after, first: false });
  });

  it('keeps its parts: a refused start removes none', async () => {
    await started();
    await removeDatabase();
    await mkdir(at('data', 'parts', 'big'), { recursive: true });
    await writeFile(at('data', 'parts', 'big', 'part'), 'bytes');
    await expect(started()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await access(at('data', 'parts', 'big', 'part'));
  });

  it('is noticed where the keys are mounted, or lie elsewhere, also without a marker', async () => {
    await started({ keysFolder: at('keys') });
    await rm(at('data'), { recursive: true });
    await expect(started({ keysFolder: at('keys') })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await mkdir(at('secrets'));
    for (const name of ['signing', 'audit', 'field'])
      await rename(at('keys', `${name}.key`), at('secrets', `model_guard_${name}_key`));
    await rm(at('data'), { recursive: true });
    await expect(started()).rejects.toMatchObject({ code: 'NOT_FOUND', message: expect.stringMatching(/There are keys.*once/) });
    expect(await started({ newDatabase: true })).toMatchObject({ first: true });
  });
});

describe('another database', () => {
  it('is refused under keys that another server has used, unless that is said', async () => {
    const first = await started();
    await rename(at('data', 'guard.db'), at('first.db'));
    const second = await started({ newDatabase: true });
    await rename(at('first.db'), at('data', 'guard.db'));
    await expect(started()).rejects.toMatchObject({
      code: 'KEY_INVALID',
      message: expect.stringMatching(new RegExp(`${second.server}.*${first.server}`)),
    });
    expect(await started({ newDatabase: true })).toEqual({ ...first, first: false });
    expect(await started()).toEqual({ ...first, first: false });
  });

  it('with keys that are gone is refused as before', async () => {
    await started();
    await rm(at('data', 'keys'), { recursive: true });
    await expect(started()).rejects.toMatchObject({ code: 'NOT_FOUND', message: expect.stringMatching(/made with it/) });
  });

  it('behind a URL that was forgotten is named as such', async () => {
    await started();
    await removeDatabase();
    const complete = await marker();
    await writeFile(at('data', 'keys', 'database.json'), JSON.stringify({ ...complete, kind: 'postgresql' }));
    await expect(started()).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(/in PostgreSQL.*DATABASE_URL/),
    });
  });

  it.skipIf(!onPostgres)('in PostgreSQL, too: a forgotten URL, and an empty database', async () => {
    const databases: (TestDatabase & { readonly url: string })[] = [await postgresDatabase(false), await postgresDatabase(false)];
    const [one, two] = databases.map(({ url }) => url);
    try {
      const before = await started({ databaseUrl: one });
      expect(await marker()).toEqual({ modelGuardDatabase: 1, state: 'complete', server: before.server, kind: 'postgresql' });
      await expect(started()).rejects.toMatchObject({ code: 'NOT_FOUND', message: expect.stringMatching(/DATABASE_URL/) });
      await expect(started({ databaseUrl: two })).rejects.toMatchObject({ code: 'NOT_FOUND' });
      expect(await started({ databaseUrl: one })).toEqual({ ...before, first: false });
    } finally {
      for (const { drop } of databases) await drop();
    }
  });
});

describe('a first start', () => {
  it('that was killed at any step goes on', async () => {
    const steps = ['database', 'marker', 'keys', 'all but its end'] as const;
    for (const step of steps) {
      const config = configured();
      const db = await openDatabase(config);
      if (step !== 'database') await checkDatabaseMarker(config, db);
      if (step === 'keys') await ServerKeyring.open(config, db, () => 1_800_000_000);
      await db.destroy();
      if (step === 'all but its end') {
        await started();
        await writeFile(at('data', 'keys', 'database.json'), JSON.stringify({ modelGuardDatabase: 1, state: 'starting' }));
      }
      const { server } = await started();
      expect(await marker(), step).toMatchObject({ state: 'complete', server });
      await rm(at('data'), { recursive: true });
    }
  });

  it('whose database went with it while it was under way begins anew: no client has seen it', async () => {
    const config = configured();
    const db = await openDatabase(config);
    await checkDatabaseMarker(config, db);
    await ServerKeyring.open(config, db, () => 1_800_000_000);
    await db.destroy();
    await removeDatabase();
    expect(await started()).toMatchObject({ first: true });
  });
});

describe('the marker', () => {
  it('is made for a server that has none yet: one of an earlier version', async () => {
    const before = await started();
    await rm(at('data', 'keys', 'database.json'));
    expect(await started()).toEqual({ ...before, first: false });
    expect(await marker()).toEqual({ modelGuardDatabase: 1, state: 'complete', server: before.server, kind: 'sqlite' });
  });

  it('that is damaged is not passed over', async () => {
    await started();
    await writeFile(at('data', 'keys', 'database.json'), '{}');
    await expect(started()).rejects.toMatchObject({
      code: 'KEY_INVALID',
      message: expect.stringMatching(/database\.json.*damaged/),
    });
  });
});
