/** Which database it is. If these fail, a server starts on an empty database, or an override that was mounted is passed over. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { configure } from '../../src/config.js';
import { findDatabaseUrl } from '../../src/database/open.js';
import { makeLog } from '../../src/log.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-url-'));
  await mkdir(join(folder, 'secrets'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
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
    vi.stubEnv('MODEL_GUARD_DATABASE_URL', 'postgres://own');
    expect(await findDatabaseUrl(given)).toBe('postgres://own');
    await writeFile(join(folder, 'secrets/model_guard_database_url'), 'postgres://mounted\n');
    expect(await findDatabaseUrl(given)).toBe('postgres://mounted');
  });

  it('stays out of the log, should anybody log the configuration', () => {
    const lines: string[] = [];
    const given = config({ DATABASE_URL: 'postgres://guard:hidden-5871@db/guard' });
    makeLog(given, { write: (line) => void lines.push(line) }).info({ config: given }, 'starting');
    expect(lines.join()).toContain('starting');
    expect(lines.join()).not.toContain('hidden-5871');
  });
});
