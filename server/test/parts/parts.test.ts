/** Big parts: stored whole or not at all, never replaced, read by signed URL alone, and removed once no version names them. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { request as ask } from 'node:http';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { collectParts } from '../../src/parts/collect.js';
import { LocalParts } from '../../src/parts/local-parts.js';
import { partUrls } from '../../src/parts/part-url.js';
import { treeOf } from '../../src/parts/parts.js';
import { parseRange } from '../../src/parts/range.js';
import { outcomeOf } from '../support/outcomes.js';
import type { TestServer } from '../support/server.js';
import { flipped, type Publisher, startPublisher, type TestContainer } from '../support/story.js';

let server: TestServer;
let admin: Publisher;
beforeAll(async () => {
  ({ server, publisher: admin } = await startPublisher());
  await server.listen();
});
afterAll(() => server.close());

const folder = (): string => join(server.folder, 'parts', 'big');
const member = () => ({ account: server.accounts.admin, address: '', request: 'r' });
const files = (): string[] => readdirSync(folder());
let made: TestContainer;
let count = 0;

describe('uploading', () => {
  beforeEach(async () => {
    made = await admin.make({ version: `u${count++}` });
  });
  const params = () => ({ name: made.name, version: made.version, part: made.bigName });

  it('succeeds again with the same bytes, and never replaces them', async () => {
    expect(outcomeOf(await admin.upload(made))).toBe('201');
    expect(outcomeOf(await admin.upload(made))).toBe('201');
    const other = made.big.slice();
    other[7] = (other[7] ?? 0) ^ 1;
    expect(outcomeOf(await admin.upload({ ...made, big: other }))).toBe('409 ALREADY_EXISTS');
    expect(outcomeOf(await admin.upload({ ...made, big: made.big.subarray(1) }))).toBe('409 ALREADY_EXISTS');
    expect(outcomeOf(await admin.commit(made))).toBe('201');
  });

  it('is kept from other users of the machine, with its tree and its folders', async () => {
    await admin.upload(made);
    await admin.commit(made);
    expect(files()).toEqual(expect.arrayContaining([made.bigName, treeOf(made.bigName)]));
    for (const one of [folder(), dirname(folder()), ...files().map((name) => join(folder(), name))])
      expect(statSync(one).mode & 0o077, one).toBe(0);
  });

  it('keeps one of two uploads of the same name', async () => {
    const other = { ...made, big: made.big.slice().fill(9) };
    const outcomes = (await Promise.all([admin.upload(made), admin.upload(other)])).map(outcomeOf).sort();
    expect(outcomes).toEqual(['201', '409 ALREADY_EXISTS']);
  });

  it('wants to know the length', async () => {
    const { statusCode, body } = await send({ 'transfer-encoding': 'chunked' }, made.big);
    expect(statusCode).toBe(400);
    expect(body).toContain('Content-Length');
    expect(files()).not.toContain(made.bigName);
  });

  it('leaves nothing of an upload that was cut off', async () => {
    const before = files();
    await send({ 'content-length': made.big.length }, made.big.subarray(0, 5000), { cut: true });
    // The answer of another request, so that the server has seen the end of this one.
    await expect.poll(files).toEqual(before);
    expect(outcomeOf(await server.request('admin', 'listVersions', { query: {} }))).toBe('200');
    expect(outcomeOf(await admin.upload(made))).toBe('201');
  });

  it('leaves the rest of the disk to the database', async () => {
    const ref = { name: made.name, version: made.version };
    const upload = () => ({ size: made.big.length, bytes: Readable.from([made.big]) });
    const { urls } = server.context.parts;
    const full = new LocalParts(server.context, urls, async () => 2 ** 28);
    await expect(full.put(member(), ref, made.bigName, upload())).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(files()).not.toContain(made.bigName);
    const roomy = new LocalParts(server.context, urls, async () => 2 ** 28 + made.big.length);
    await roomy.put(member(), ref, made.bigName, upload());
    expect(files()).toContain(made.bigName);
  });

  it('leaves the reserve free where many are announced at once, and counts what ended no more', async () => {
    const { urls } = server.context.parts;
    const MIB = 2 ** 20;
    let free = 2 ** 28 + 10 * MIB;
    const parts = new LocalParts(server.context, urls, async () => free);
    let begin: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    async function* slowly() {
      await begun;
      for (let sent = 0; sent < 4; sent++) {
        yield Buffer.alloc(MIB);
        free -= MIB;
      }
    }
    const names = Array.from({ length: 8 }, () => `${randomBytes(16).toString('hex')}-0`);
    const putting = names.map((part) =>
      parts.put(member(), { name: made.name, version: '1' }, part, { size: 4 * MIB, bytes: slowly() }),
    );
    const outcomes = Promise.allSettled(putting);
    let ended = 0;
    const count = () => {
      ended++;
    };
    for (const put of putting) put.then(count, count);
    await vi.waitFor(() => expect(ended).toBe(6));
    begin();
    const refused = (await outcomes).filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(6);
    for (const one of refused) expect(one).toMatchObject({ reason: { code: 'LIMIT_EXCEEDED' } });
    expect(free).toBeGreaterThanOrEqual(2 ** 28);
    // 2 MiB are left: announced bytes of uploads that have ended do not count twice.
    const last = { size: 2 * MIB, bytes: Readable.from([Buffer.alloc(2 * MIB)]) };
    await parts.put(member(), { name: made.name, version: '1' }, `${randomBytes(16).toString('hex')}-0`, last);
  });

  it('on a disk that is full is refused with 413, however late that is found', async () => {
    const full = Object.assign(new Error('no space'), { code: 'ENOSPC', syscall: 'write' });
    const parts = vi.spyOn(server.context.parts, 'put').mockRejectedValue(full);
    try {
      const answer = await server.request('admin', 'putPart', { params: params(), body: made.big });
      expect(outcomeOf(answer)).toBe('413 LIMIT_EXCEEDED');
      expect(answer.json().error.message).toMatch(/disk of this server is full/);
    } finally {
      parts.mockRestore();
    }
  });

  it('stops where another program fills the disk meanwhile', async () => {
    const before = files();
    let free = 2 ** 30;
    const parts = new LocalParts(server.context, server.context.parts.urls, async () => free);
    const piece = Buffer.alloc(2 ** 22);
    async function* slowly() {
      for (let sent = 0; sent < 32; sent++) {
        yield piece;
        free = 2 ** 27;
      }
    }
    const upload = { size: 32 * piece.length, bytes: slowly() };
    const put = parts.put(member(), { name: made.name, version: made.version }, made.bigName, upload);
    await expect(put).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(files()).toEqual(before);
  });

  it('survives a client that goes away from an upload that was refused', async () => {
    await send({ 'content-length': 1e9 }, new Uint8Array(70_000), { cut: true, path: '/models/UPPER/versions/1/parts/nothing' });
    expect(outcomeOf(await server.request('admin', 'listVersions', { query: {} }))).toBe('200');
  });

  it('comes with the tree that this server computed', async () => {
    await admin.upload(made);
    const { url } = await partUrls(server.context).sign(treeOf(made.bigName));
    expect((await fetch(url)).status).toBe(404);
    expect(outcomeOf(await admin.commit(made))).toBe('201');
    expect(new Uint8Array(await (await fetch(url)).arrayBuffer())).toEqual(made.tree);
  });

  it('takes bytes, and nothing else', async () => {
    const headers = { 'content-type': 'application/json' };
    expect(outcomeOf(await server.request('admin', 'putPart', { params: params(), body: made.big, headers }))).toMatch(/^4\d\d /);
    expect((await server.request('admin', 'putPart', { params: params() } as never)).statusCode).toBe(415);
  });

  /** A request as no client library sends it. */
  async function send(
    headers: Record<string, string | number>,
    bytes: Uint8Array,
    { cut = false, path = `/models/${made.name}/versions/${made.version}/parts/${made.bigName}` } = {},
  ): Promise<{ statusCode: number; body: string }> {
    const token = await server.token('admin');
    const type = { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' };
    return new Promise((resolve) => {
      const sending = ask(`${server.url}${path}`, { method: 'PUT', headers: { ...type, ...headers } }, (answer) => {
        let body = '';
        answer.on('data', (piece) => {
          body += piece;
        });
        answer.on('close', () => resolve({ statusCode: answer.statusCode ?? 0, body }));
        answer.on('error', () => {});
      });
      sending.on('error', () => resolve({ statusCode: 0, body: '' }));
      sending.write(bytes, () => {
        if (cut) sending.destroy();
        else sending.end();
      });
    });
  }
});

/** Undefined once the descriptor is closed. */
function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

describe('downloading', () => {
  let url: string;
  beforeAll(async () => {
    made = await admin.publish({ version: 'download' });
    url = (await partUrls(server.context).sign(made.bigName)).url;
  });
  const read = async (range?: string, more: Record<string, string> = {}) => {
    const answer = await fetch(url, { headers: { ...(range !== undefined && { range }), ...more } });
    return { answer, bytes: new Uint8Array(await answer.arrayBuffer()) };
  };
  const full = () => made.big;

  it('gives the whole part, which may be kept for ever', async () => {
    const { answer, bytes } = await read();
    expect(answer.status).toBe(200);
    expect(bytes).toEqual(full());
    expect(answer.headers.get('etag')).toBe(`"${made.bigName}"`);
    expect(answer.headers.get('accept-ranges')).toBe('bytes');
    expect(answer.headers.get('cache-control')).toContain('immutable');
    expect(answer.headers.get('content-length')).toBe(String(made.big.length));
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
  });

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=100-199', 100, 200],
    ['bytes=100-', 100, undefined],
    ['bytes=-100', -100, undefined],
    ['bytes=5-99999999', 5, undefined],
    ['bytes=-99999999', 0, undefined],
  ])('gives the range %s', async (range, start, end) => {
    const { answer, bytes } = await read(range);
    const wanted = full().subarray(start, end);
    const first = full().length - full().subarray(start).length;
    expect(answer.status).toBe(206);
    expect(bytes).toEqual(wanted);
    expect(answer.headers.get('content-range')).toBe(`bytes ${first}-${first + wanted.length - 1}/${full().length}`);
  });

  it.each(['bytes=1-2,5-6', 'bytes=2-1', 'bytes=a-b', 'chunks=1-2', 'bytes=-', 'bytes=', ''])(
    'ignores the range %j',
    async (range) => {
      const { answer, bytes } = await read(range);
      expect(answer.status).toBe(200);
      expect(bytes.length).toBe(full().length);
    },
  );

  it('refuses a range beyond the end', async () => {
    for (const range of [`bytes=${full().length}-`, 'bytes=999999999-1999999999', 'bytes=-0']) {
      const { answer } = await read(range);
      expect(answer.status, range).toBe(416);
      expect(answer.headers.get('content-range')).toBe(`bytes */${full().length}`);
      expect(answer.headers.get('cache-control')).not.toContain('immutable');
    }
  });

  it('gives a range only of what the client has the beginning of', async () => {
    expect((await read('bytes=0-9', { 'if-range': `"${made.bigName}"` })).answer.status).toBe(206);
    expect((await read('bytes=0-9', { 'if-range': '"another"' })).answer.status).toBe(200);
  });

  it('tells of a part without reading it', async () => {
    const name = `${'2'.repeat(32)}-56`;
    const file = join(folder(), name);
    writeFileSync(file, '');
    // The file has holes, so the answer is there before it could be read to the end.
    truncateSync(file, 2 ** 36);
    const answer = await fetch((await partUrls(server.context).sign(name)).url, { method: 'HEAD' });
    const opened = readdirSync('/proc/self/fd').filter((fd) => linkOf(`/proc/self/fd/${fd}`) === file);
    rmSync(file);
    expect(answer.headers.get('content-length')).toBe(String(2 ** 36));
    expect(answer.headers.get('etag')).toBe(`"${name}"`);
    expect(opened).toEqual([]);
  });

  it('survives a client that goes away', async () => {
    const stop = new AbortController();
    const answer = await fetch(url, { signal: stop.signal });
    stop.abort();
    await answer.arrayBuffer().catch(() => undefined);
    expect((await read()).bytes).toEqual(full());
    expect(server.logged.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('opens for some minutes, and not by a changed URL', async () => {
    const parsed = new URL(url);
    const expires = Number(parsed.searchParams.get('expires'));
    const signature = parsed.searchParams.get('signature') ?? '';
    expect(expires).toBe(server.clock.now + server.config.partUrlSeconds);
    const get = async (path: string, until: number | string, by: string) =>
      outcomeOf(await server.app.inject({ url: `${path}?expires=${until}&signature=${by}` }));
    const path = `/parts/${made.bigName}`;
    const other = `/parts/${'0'.repeat(32)}-0`;
    expect(await get(path, expires, signature)).toBe('200');
    expect(await get(path, expires + 1, signature)).toBe('403 NOT_AUTHORISED');
    expect(await get(path, expires, flipped(signature))).toBe('403 NOT_AUTHORISED');
    expect(await get(path, expires, signature.slice(0, -2))).toBe('403 NOT_AUTHORISED');
    expect(await get(path, expires, '')).toBe('403 NOT_AUTHORISED');
    expect(await get(other, expires, signature)).toBe('403 NOT_AUTHORISED');
    expect(await get(`${path}/tree`, expires, signature)).toBe('403 NOT_AUTHORISED');
    expect(await get(path, 'soon', signature)).toBe('400 INVALID_ARGUMENT');
    expect(outcomeOf(await server.app.inject({ url: path }))).toBe('400 INVALID_ARGUMENT');
    server.clock.now = expires;
    expect(await get(path, expires, signature)).toBe('200');
    server.clock.now = expires + 1;
    expect(await get(path, expires, signature)).toBe('403 NOT_AUTHORISED');
  });

  it('is told that a part went between looking and opening, which nothing keeps for ever', async () => {
    const file = join(folder(), `${'3'.repeat(32)}-56`);
    const found = vi.spyOn(LocalParts.prototype, 'find').mockResolvedValueOnce({ file, size: 5 });
    const answer = await fetch((await partUrls(server.context).sign(made.bigName)).url);
    found.mockRestore();
    expect(answer.status).toBe(404);
    expect(answer.headers.get('cache-control')).not.toContain('immutable');
  });

  it('says no more about a part that is not there', async () => {
    const name = `${'1'.repeat(32)}-5`;
    const { url: missing } = await partUrls(server.context).sign(name);
    expect((await fetch(missing)).status).toBe(404);
  });

  it('writes every download down, and not every guess', async () => {
    const guesses = { url: `/parts/${made.bigName}?expires=9999999999&signature=AAAA` };
    for (let guess = 0; guess < 60; guess++) await server.app.inject(guesses);
    const rows = await server.context.db.selectFrom('audit').select('outcome').where('action', '=', 'parts.read').execute();
    expect(rows.filter(({ outcome }) => outcome === 'success').length).toBeGreaterThan(10);
    const denied = rows.filter(({ outcome }) => outcome === 'denied').length;
    expect(denied).toBeGreaterThan(0);
    expect(denied).toBeLessThan(50);
  });
});

it('reads ranges as RFC 9110 has them', () => {
  expect(parseRange('bytes=0-', 0)).toBe('unsatisfiable');
  expect(parseRange('bytes=-5', 0)).toBe('unsatisfiable');
  expect(parseRange(undefined, 10)).toBe('whole');
  expect(parseRange('bytes = 2 - 3', 10)).toEqual({ start: 2, end: 3 });
  expect(parseRange('bytes=9007199254740993-', 10)).toBe('whole');
});

describe('collecting', () => {
  const age = (name: string, hours: number) => {
    const then = new Date(Date.now() - hours * 3_600_000);
    for (const file of files().filter((each) => each.startsWith(name))) utimesSync(join(folder(), file), then, then);
  };

  it('removes what no version names, a day later', async () => {
    const kept = await admin.publish({ version: 'kept' });
    const abandoned = await admin.make({ version: 'abandoned' });
    const fresh = await admin.make({ version: 'fresh' });
    for (const each of [abandoned, fresh]) await admin.upload(each);
    for (const each of [kept, abandoned]) age(each.bigName, 25);
    age(fresh.bigName, 23);
    const removed = await collectParts(server.context);
    expect([...removed].sort()).toEqual([`big/${abandoned.bigName}`, `big/${abandoned.bigName}.tree`]);
    expect(outcomeOf(await admin.commit(fresh))).toBe('201');
    expect(files()).toContain(kept.bigName);
  });

  it('takes no tree from a part that stays', async () => {
    const old = await admin.publish({ version: 'with-tree' });
    age(old.bigName, 100);
    await server.context.parts.touch(old.bigName);
    const { params, body } = { params: { name: old.name, version: old.version }, body: {} };
    expect(outcomeOf(await server.request('admin', 'revokeVersion', { params, body }))).toBe('200');
    await server.context.db.deleteFrom('versions').where('big_name', '=', old.bigName).execute();
    expect(await collectParts(server.context)).not.toContain(`big/${old.bigName}.tree`);
    expect(await server.context.parts.hasTree(old.bigName)).toBe(true);
  });

  it('gives what was replaced, and what is being published, another day', async () => {
    const old = await admin.publish({ version: 'replaced' });
    age(old.bigName, 100);
    const next = await admin.make({ version: 'replaced' });
    await admin.upload(next);
    age(next.bigName, 100);
    expect(outcomeOf(await admin.commit(next, { overwrite: true }))).toBe('201');
    expect(await collectParts(server.context)).not.toContain(`big/${old.bigName}`);
    expect(Date.now() - statSync(join(folder(), next.bigName)).mtimeMs).toBeLessThan(3_600_000);
    age(old.bigName, 25);
    expect(await collectParts(server.context)).toContain(`big/${old.bigName}`);
    expect(await server.context.parts.find(next.bigName)).toBeDefined();
  });
});
