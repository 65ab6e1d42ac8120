/** Starts that cannot succeed. If these fail, an operator meets a stack in the place of the flag to change. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Authority } from '../../../test/support/certificates.js';
import { configure, type Settings } from '../../src/start/config.js';
import { makeLog } from '../../src/start/log.js';
import { startServer } from '../../src/start/server.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-start-'));
  await writeFile(at('file'), 'neither a folder nor a database\n'.repeat(100));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const at = (name: string): string => join(folder, name);
const start = (settings: Partial<Settings>) => {
  const config = configure({ data: at('data'), secretsFolder: at('secrets'), port: 0, ...settings }, {});
  return startServer(config, { log: makeLog({ logLevel: 'silent' }) });
};

describe('a start', () => {
  it.each([
    ['a file in the place of the data folder', 'file'],
    ['a data folder below a file', 'file/data'],
  ])('with %s names --data', async (_what, data) => {
    await expect(start({ data: at(data) })).rejects.toMatchObject({
      code: 'IO_FAILED',
      message: expect.stringMatching(/is a file.*\(--data\)/),
    });
  });

  it('with a file that is no database names the file', async () => {
    await mkdir(at('data'));
    await writeFile(at('data/guard.db'), 'no database of SQLite\n'.repeat(100));
    await expect(start({})).rejects.toMatchObject({
      code: 'IO_FAILED',
      message: expect.stringMatching(/guard\.db is no database.*--data/),
    });
  });

  it('at an address of another machine names --host', async () => {
    await expect(start({ host: '192.0.2.1' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/192\.0\.2\.1.*--host/),
    });
  });

  it('with a redirect port in use names its flag', async () => {
    const { certFile, keyFile } = new Authority(folder).issue('server');
    const taken = createServer();
    await new Promise<void>((listening) => taken.listen(0, '127.0.0.1', listening));
    const { port } = taken.address() as AddressInfo;
    try {
      await expect(start({ tlsCert: certFile, tlsKey: keyFile, httpRedirectPort: port })).rejects.toMatchObject({
        code: 'IN_USE',
        message: expect.stringContaining('--http-redirect-port'),
      });
    } finally {
      taken.close();
    }
  });
});
