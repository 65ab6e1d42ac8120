/** The choice of the database. If these fail, a server starts on an empty database, or ignores an override that was mounted. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findDatabaseUrl } from '../../src/database/open.js';
import { configure } from '../../src/start/config.js';
import { makeLog } from '../../src/start/log.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-url-'));
  await mkdir(join(folder, 'secrets'));
});
afterEach(async () => {
  delete process.env.MODEL_GUARD_DATABASE_URL;
  await rm(folder, { recursive: true });
});
const config = (environment: NodeJS.ProcessEnv = {}) =>
  configure({ data: folder, secretsFolder: join(folder, 'secrets') }, environment);

describe('the URL of the database', () => {
  it('is the mounted secret, else MODEL_GUARD_DATABASE_URL, else DATABASE_URL, else none', async () => {
    expect(await findDatabaseUrl(config())).toBeUndefined();
    expect(await findDatabaseUrl(config({ DATABASE_URL: '' }))).toBeUndefined();
    const given = config({ DATABASE_URL: 'postgres://general' });
    expect(await findDatabaseUrl(given)).toBe('postgres://general');
    process.env.MODEL_GUARD_DATABASE_URL = 'postgres://own';
    expect(await findDatabaseUrl(given)).toBe('postgres://own');
    await writeFile(join(folder, 'secrets/model_guard_database_url'), 'postgres://mounted\n');
    expect(await findDatabaseUrl(given)).toBe('postgres://mounted');
  });

  it('holds no password in production that can be guessed', async () => {
    const at = (password: string) => `postgres://guard:${password}@127.0.0.1/guard`;
    const found = (url: string, environment: NodeJS.ProcessEnv = { NODE_ENV: 'production' }) =>
      findDatabaseUrl(config({ ...environment, DATABASE_URL: url }));
    for (const guessable of ['guard', 'password1234', 'aaaaaaaaaaaaaaaa', '%61%61%61%61%61%61%61%61%61%61%61%61']) {
      await expect(found(at(guessable)), guessable).rejects.toThrow(/model_guard_database_url/);
      expect(await found(at(guessable), {})).toBe(at(guessable));
    }
    await expect(found('postgres://guard@127.0.0.1/guard?password=short')).rejects.toThrow(/fewer than 12 bytes/);
    expect(await found(at('Zk3-8fQw_1vT'))).toBe(at('Zk3-8fQw_1vT'));
  });

  it('is in production one with TLS and a checked name, or of this machine', async () => {
    const found = (databaseUrl: string, environment: NodeJS.ProcessEnv = { NODE_ENV: 'production' }) =>
      findDatabaseUrl(config({ ...environment, DATABASE_URL: databaseUrl }));
    const open = [
      'postgres://guard:hidden-5871@db.example.com/guard',
      'postgres://guard:hidden-5871@db.example.com/guard?ssl=true',
      'postgres://guard:hidden-5871@db.example.com/guard?sslmode=no-verify',
      'postgres://guard:hidden-5871@db.example.com/guard?sslmode=require',
      'postgres://guard:hidden-5871@db.example.com/guard?sslmode=verify-full&sslmode=disable',
      'postgres://guard:hidden-5871@127.0.0.1/guard?host=db.example.com',
      'postgres://guard:hidden-5871@127.evil.example/guard',
    ];
    for (const url of open) {
      const error: unknown = await found(url).catch((cause: unknown) => cause);
      expect(error, url).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('sslmode=verify-full') });
      expect(inspect(error, { depth: 9 })).not.toContain('hidden-5871');
      expect(await found(url, {})).toBe(url);
    }
    const closed = [
      'postgres://guard@db.example.com/guard?sslmode=verify-full&sslrootcert=/etc/ssl/db.crt',
      'postgres://guard@127.0.0.1:5432/guard',
      'postgres://guard@localhost/guard',
      'postgres://guard@[::1]/guard',
      'postgres://guard@%2Fvar%2Frun%2Fpostgresql/guard',
      'postgres:///guard?host=/var/run/postgresql',
    ];
    for (const url of closed) expect(await found(url)).toBe(url);
    process.env.MODEL_GUARD_DATABASE_URL = open[0];
    await expect(found(closed[0] ?? '')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('stays out of the log where the configuration is logged', () => {
    const lines: string[] = [];
    const given = config({ DATABASE_URL: 'postgres://guard:hidden-5871@db/guard' });
    makeLog(given, { write: (line) => void lines.push(line) }).info({ config: given }, 'starting');
    expect(lines.join()).toContain('starting');
    expect(lines.join()).not.toContain('hidden-5871');
  });
});
