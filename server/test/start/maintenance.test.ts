/** The keys that clients pin, read on the server's machine. If these fail, an old or a wrong key is pinned, or a server's state is made by reading. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fingerprintOf } from '@org/model-guard/server-kit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configure } from '../../src/start/config.js';
import { publicKeys } from '../../src/start/maintenance.js';
import { startTestServer, type TestServer } from '../support/server.js';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.close());

describe('the public keys of a server', () => {
  it('are the current ones, also after a rotation, without the files of its keys', async () => {
    const { keys, serverId } = server.context;
    const expected = { serverId, auditKey: keys.audit.publicKey.toString() };
    const first = keys.signing.publicKey.toString();
    const config = { ...server.config, keysFolder: join(server.folder, 'elsewhere') };
    expect(await publicKeys(config)).toEqual({ ...expected, signingKey: first, fingerprint: fingerprintOf(first) });
    const { key } = (await server.request('apiAdmin', 'rotateSigningKey', { body: {} })).json();
    expect(key).not.toBe(first);
    expect(await publicKeys(config)).toEqual({ ...expected, signingKey: key, fingerprint: fingerprintOf(key) });
  });

  it('are not made where there is no server', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'guard-empty-'));
    try {
      await expect(publicKeys(configure({ data: empty }, {}))).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: expect.stringContaining('--data'),
      });
      expect(await readdir(empty)).toEqual([]);
    } finally {
      await rm(empty, { recursive: true });
    }
  });
});
