/** Big parts in a bucket, read over bad lines and tidied. What fails here blames a model for the line, or removes what is in use. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { MasterKey, protect, type S3StoreOptions } from '../../src/index.js';
import { codeOf } from '../support/failures.js';
import { type S3Asked, s3Error } from '../support/fake-s3.js';
import { big, bytes, MIB, name, ref, s3Lab } from '../support/s3-lab.js';
import { temporaryFolder } from '../support/temp.js';

const { server, storeWith } = s3Lab();
const folder = temporaryFolder('s3-parts');
const small = 'small/net/1';
const DAY = 86_400_000;

describe('reading a big part', () => {
  const read = async (store = storeWith()): Promise<Buffer> => {
    const opened = await store.openBig(ref, name);
    expect([opened.size, opened.remote]).toEqual([bytes.length, true]);
    try {
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < opened.size; at += MIB) {
        const got = await opened.read(at, Math.min(MIB, opened.size - at));
        pieces.push(...(got instanceof Uint8Array ? [got] : got));
      }
      return Buffer.concat(pieces);
    } finally {
      await opened.close();
    }
  };
  const isRange = ({ headers }: S3Asked): boolean => headers.range !== undefined;

  it('goes on where the line broke', async () => {
    server.put(big, bytes);
    let count = 0;
    server.hook = (asked, response) => {
      if (!isRange(asked) || ++count % 2 === 0) return undefined;
      const { status = 200, headers, body = '' } = server.truth(asked);
      response.writeHead(status, { ...headers, 'content-length': String(body.length) });
      response.write(Buffer.from(body).subarray(0, 1000));
      setImmediate(() => response.destroy());
      return 'taken';
    };
    expect(Buffer.compare(await read(), bytes)).toBe(0);
  });

  it('reads from mirrors that give the same bytes entity tags of their own', async () => {
    server.put(big, bytes);
    const ranges: (string | undefined)[] = [];
    server.hook = (asked) => {
      if (!isRange(asked)) return undefined;
      const { headers, ...rest } = server.truth(asked);
      ranges.push(asked.headers.range);
      return { ...rest, headers: { ...headers, etag: `"${ranges.length}"` } };
    };
    expect(Buffer.compare(await read(), bytes)).toBe(0);
    // None is asked for twice.
    expect(ranges.length).toBeGreaterThan(1);
    expect(new Set(ranges).size).toBe(ranges.length);
  });

  it.each<[string, (body: Buffer) => { status: number; headers: Record<string, string>; body: Uint8Array }]>([
    ['another range', (body) => ({ status: 206, headers: { 'content-range': `bytes 1-10/${bytes.length}` }, body })],
    ['the whole object', () => ({ status: 200, headers: {}, body: bytes })],
  ])('refuses %s', async (_, answer) => {
    server.put(big, bytes);
    server.hook = (asked) => (isRange(asked) ? answer(Buffer.from(server.truth(asked).body ?? '')) : undefined);
    const opened = await storeWith().openBig(ref, name);
    expect(await codeOf(async () => opened.read(0, 10))).toBe('RESPONSE_INVALID');
    await opened.close();
  });

  it('has a tree, or none', async () => {
    server.put(big, bytes);
    const opened = await storeWith().openBig(ref, name);
    expect(await opened.tree()).toBeUndefined();
    server.hook = (asked) => (asked.key.endsWith('.tree') ? s3Error(403, 'AccessDenied') : undefined);
    expect(await opened.tree()).toBeUndefined();
    server.hook = () => undefined;
    server.put(`${big}.tree`, Uint8Array.of(1, 2));
    expect([...((await opened.tree()) ?? [])]).toEqual([1, 2]);
    await opened.close();
  });
});

describe('collecting', () => {
  const ago = (milliseconds: number): Date => new Date(Date.now() - milliseconds);
  const collect = async (more: Partial<S3StoreOptions> = {}): Promise<string[]> => [...(await storeWith(more).collect())].sort();

  it('marks what nobody names, removes it when the mark is old, and forgets the mark of what is named again', async () => {
    const file = path.join(folder, 'kept');
    writeFileSync(file, randomBytes(1000));
    await protect(file, { name: 'net', version: '1', recipients: [MasterKey.generate()], to: storeWith() });
    const [kept = ''] = [...server.objects.keys()].filter((key) => /^big\/[^.]+$/.test(key));
    server.put(big, bytes, ago(10 * DAY));
    server.put(`${big}.tree`, bytes, ago(10 * DAY));
    server.put(`${kept}.unused`, Uint8Array.of(), ago(5 * DAY));
    server.put('big/something-else', bytes, ago(10 * DAY));
    server.time = new Date();
    expect(await collect()).toEqual([]);
    expect(server.objects.has(`${kept}.unused`)).toBe(false);
    expect(server.objects.has(`${big}.unused`)).toBe(true);
    // Readers of a version that was replaced just now go on.
    expect(await collect()).toEqual([]);
    server.put(`${big}.unused`, Uint8Array.of(), ago(2 * DAY));
    expect(await collect()).toEqual([big, `${big}.tree`]);
    expect([...server.objects.keys()].sort()).toEqual([kept, `${kept}.tree`, 'big/something-else', small].sort());
  });

  it('removes nothing whose publication is taken up again while it looks', async () => {
    for (const task of [
      () => server.put(`${big}.unused`, Uint8Array.of(), new Date()),
      () => server.objects.delete(`${big}.unused`),
    ]) {
      for (const key of [big, `${big}.unused`]) server.put(key, bytes, ago(10 * DAY));
      server.hook = (asked) => {
        if (!asked.query.has('list-type')) return undefined;
        const said = server.truth(asked);
        task();
        return said;
      };
      expect([...(await storeWith().collect({ referenced: new Set() }))]).toEqual([]);
      expect(server.objects.has(big)).toBe(true);
    }
  });

  it('removes nothing that is young, and nothing where nobody can tell what is in use', async () => {
    server.put(big, bytes, ago(1000));
    server.put(small, Uint8Array.of(1), ago(1000));
    expect(await collect()).toEqual([]);
    server.put(big, bytes, ago(10 * DAY));
    server.put(`${big}.unused`, Uint8Array.of(), ago(10 * DAY));
    expect(await collect()).toEqual([]);
    server.objects.delete(small);
    expect(await collect()).toEqual([]);
    expect([...(await storeWith().collect({ referenced: new Set([name]) }))]).toEqual([]);
    server.put(`${big}.unused`, Uint8Array.of(), ago(10 * DAY));
    expect([...(await storeWith().collect({ referenced: new Set() }))]).toEqual([big]);
  });

  it('ends uploads whose last piece is old, whatever the rights to read', async () => {
    server.pageSize = 1;
    const other = `big/${'1'.repeat(32)}-56`;
    for (const key of [big, other]) server.begin(key, ago(3 * DAY));
    server.begin('elsewhere/key', ago(3 * DAY));
    const [first] = [...server.uploads.values()];
    first?.parts.set(1, { body: Buffer.of(1), etag: '"1"', modified: ago(1000) });
    server.hook = ({ method, key, query }) =>
      method === 'GET' && key === '' && query.has('list-type') ? s3Error(403, 'AccessDenied') : undefined;
    expect(await codeOf(() => storeWith().collect())).toBe('PERMISSION_DENIED');
    expect([...server.uploads.values()].map(({ key }) => key)).toEqual([big, 'elsewhere/key']);
  });
});
