/** One server for a data folder with SQLite. If these fail, two servers each assume to be the only one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/database/open.js';
import { configure } from '../../src/start/config.js';
import { openServer } from '../../src/start/server.js';
import { onPostgres, postgresDatabase } from '../support/database.js';

const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

let folder: string;
let child: ChildProcess | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-lock-'));
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

const open = (databaseUrl?: string) =>
  openServer(configure({ data: folder, secretsFolder: join(folder, 'secrets'), port: 0, logLevel: 'silent', databaseUrl }, {}));
const inUse = {
  code: 'IN_USE',
  message: expect.stringMatching(/Another guard server runs on the data folder .*--data.*PostgreSQL/),
};

describe('a data folder with SQLite', () => {
  it('has one server at a time, which leaves it when it stops, and when it does not come to start', async () => {
    const first = await open();
    expect((await stat(join(folder, 'guard.lock'))).mode & 0o777).toBe(0o600);
    await expect(open()).rejects.toMatchObject(inUse);
    await first.close();
    await rm(join(folder, 'keys', 'audit.key'));
    await expect(open()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    // The lock of the start that failed is gone: the reason is the same again.
    await expect(open()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is left by a process that is killed, and refused to another one with what to do', async () => {
    const words = ['--import', TSX, here('../../src/start/main.ts'), '--data', folder, '--port', '0'];
    const options = {
      env: { ...process.env, NODE_ENV: 'test', TSX_TSCONFIG_PATH: here('../../tsconfig.json') },
      stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'],
    };
    const started = spawn(process.execPath, words, options);
    child = started;
    await new Promise<void>((listening, failed) => {
      let said = '';
      started.stdout.on('data', (piece: Buffer) => {
        said += piece;
        if (said.includes('"listening"')) listening();
      });
      started.once('exit', (code) => failed(new Error(`ended with ${code}: ${said}`)));
    });
    await expect(open()).rejects.toMatchObject(inUse);
    const gone = once(started, 'exit');
    started.kill('SIGKILL');
    await gone;
    await (await open()).close();
  }, 120_000);

  it('lets commands change its database beside a running server', async () => {
    const server = await open();
    const db = await openDatabase({ dataFolder: folder });
    const row = { key: 'beside', value: 'a server' };
    await db.transaction().execute((trx) => trx.insertInto('meta').values(row).execute());
    expect(await server.context.db.selectFrom('meta').selectAll().where('key', '=', 'beside').execute()).toEqual([row]);
    await db.destroy();
    await server.close();
  });

  it.skipIf(!onPostgres)('with PostgreSQL has as many servers as one likes', async () => {
    const database = await postgresDatabase(false);
    try {
      const both = await Promise.all([open(database.url), open(database.url)]);
      for (const server of both) await server.close();
    } finally {
      await database.drop();
    }
  });
});
