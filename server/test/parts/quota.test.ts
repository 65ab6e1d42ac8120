/** The bytes of big parts that one account may have. If this fails, one account fills the disk or the bucket for all. */
import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LocalParts } from '../../src/parts/local-parts.js';
import { startTestServer, type TestServer } from '../support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const folder = (): string => join(server.folder, 'parts', 'big');
const files = (): string[] => readdirSync(folder());
const openUpload = {
  name: 'quota',
  version: '1',
  part: 'open',
  piece_bytes: 1,
  storage_id: '',
  state: 'open',
  created: 0,
  touched: 0,
} as const;

it('parts are counted for their account, and refused beyond its quota until they are gone', async () => {
  const { db } = server.context;
  const account = server.accounts.resourceUploader;
  const context = { ...server.context, config: { ...server.config, accountQuota: 1000 } };
  const parts = new LocalParts(context, server.context.parts.urls);
  const by = { account, address: '', request: 'r' };
  const name = () => `${randomBytes(16).toString('hex')}-0`;
  const put = (part: string, size: number, bytes = size) =>
    parts.put(by, { name: 'quota', version: '1' }, part, { size, bytes: Readable.from([Buffer.alloc(bytes)]) });
  const rows = () => db.selectFrom('disk_parts').select('size').where('account', '=', account.id).execute();
  const [first, second] = [name(), name()];
  await put(first, 600);
  await put(first, 600);
  await expect(put(second, 401)).rejects.toMatchObject({
    code: 'LIMIT_EXCEEDED',
    message: expect.stringMatching(/600 bytes.*1000/),
  });
  // An upload that fails is not counted; one under way is.
  await expect(put(second, 400, 399)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(await rows()).toEqual([{ size: 600 }]);
  const both = await Promise.allSettled([put(name(), 300), put(name(), 300)]);
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  await db
    .insertInto('uploads')
    .values({ ...openUpload, id: randomBytes(16).toString('hex'), account: account.id, size: 100 })
    .execute();
  await expect(put(second, 1)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  // An upload that a killed process began has no file: its row goes a day later.
  for (const file of files()) if (file.startsWith(first)) rmSync(join(folder(), file));
  server.clock.now += 86_401;
  await parts.collect(new Set());
  await put(second, 500);
});
