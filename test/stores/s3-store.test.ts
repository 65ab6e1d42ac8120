/** s3Store against a server that errs: options, errors, the commit. What fails here publishes twice, or tells secrets. */
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { MasterKey, type ModelRef, type PartStore, protect, s3Store } from '../../src/index.js';
import { codeOf, failureOf } from '../support/failures.js';
import { type FakeS3, s3Error } from '../support/fake-s3.js';
import { keys, MIB, name, PIECE, part, puts, ref, SECRET, s3Lab } from '../support/s3-lab.js';
import { temporaryFolder } from '../support/temp.js';

const { server, storeWith, times } = s3Lab();
const folder = temporaryFolder('s3-store');
const small = 'small/net/1';
const refs = async (store: PartStore): Promise<ModelRef[]> => {
  const found: ModelRef[] = [];
  for await (const one of store.list()) found.push(one);
  return found;
};

describe('options', () => {
  it.each<[string, Record<string, unknown>]>([
    ['options.bucket', { bucket: 'a/b' }],
    ['options.bucket', { bucket: '..' }],
    ['options.prefix', { prefix: '../up' }],
    ['options.prefix', { prefix: 'a//b' }],
    ['options.prefix', { prefix: '/a' }],
    ['options.prefix', { prefix: 'a/./b' }],
    ['options.endpoint', { endpoint: 'http://192.0.2.1:9000' }],
    ['options.endpoint', { endpoint: 'https://user:word@example.org' }],
    ['options.endpoint', { endpoint: 'ftp://example.org' }],
    ['options.credentials', { credentials: { accessKeyId: 'id', secretAccessKey: '' } }],
    ['options.credentials', { credentials: { accessKeyId: 'id', secretAccessKey: SECRET, more: 1 } }],
    ['options.credentials', { credentials: {} }],
    ['options.pieceBytes', { pieceBytes: PIECE - 1 }],
    ['options.connections', { connections: 0 }],
    ['options (acl)', { acl: 'public' }],
  ])('names %s in %j', async (what, more) => {
    const refused = await failureOf(() => s3Store({ bucket: 'models', ...more }));
    expect(refused.code).toBe('INVALID_ARGUMENT');
    expect(refused.message).toContain(what);
    expect(refused.message).not.toContain(SECRET);
  });

  it('put everything below the prefix', async () => {
    for (const prefix of ['models/production', 'models/production/']) {
      await storeWith({ prefix }).putSmall(ref, Uint8Array.of(1));
      expect([...server.objects.keys()]).toEqual(['models/production/small/net/1']);
    }
    expect(await refs(storeWith({ prefix: 'models' }))).toEqual([]);
  });

  it('take keys from a callback, for reading and for writing', async () => {
    const store = storeWith({ credentials: { read: async () => keys('reader'), write: keys('writer') } });
    await store.putSmall(ref, Uint8Array.of(1));
    await store.getSmall(ref);
    await store.putBig(ref, name, part());
    expect(new Set(server.asked.map(({ method, keyId }) => `${keyId} ${method}`))).toEqual(
      new Set(['writer PUT', 'writer POST', 'reader GET', 'reader HEAD']),
    );
    const broken = storeWith({ credentials: async () => ({ accessKeyId: 'id', secretAccessKey: '' }) });
    expect(await codeOf(() => broken.getSmall(ref))).toBe('INVALID_ARGUMENT');
  });
});

describe('what a server says', () => {
  it('tells a bucket that is missing from a part that is missing', async () => {
    server.hook = () => s3Error(404, 'NoSuchBucket');
    const { message } = await failureOf(() => storeWith().getSmall(ref));
    expect(message).toMatch(
      /^The bucket is not there \(404 NoSuchBucket.*\)\. Check its name, its region and the endpoint, or make it/,
    );
  });

  it.each<[number, string, string, number]>([
    [404, 'NoSuchKey', 'NOT_FOUND', 1],
    [404, 'NoSuchBucket', 'NOT_FOUND', 1],
    [403, 'AccessDenied', 'PERMISSION_DENIED', 1],
    [403, 'SignatureDoesNotMatch', 'PERMISSION_DENIED', 1],
    [403, 'QuotaExceeded', 'NO_SPACE', 1],
    [403, 'RequestTimeTooSkewed', 'CLOCK_SKEWED', 4],
    [400, 'RequestTimeout', 'SERVER_FAILED', 4],
    [400, 'InvalidRequest', 'RESPONSE_INVALID', 1],
    [301, 'PermanentRedirect', 'RESPONSE_INVALID', 1],
    [429, 'TooManyRequests', 'SERVER_FAILED', 4],
    [500, 'InternalError', 'SERVER_FAILED', 4],
    [501, 'NotImplemented', 'SERVER_FAILED', 1],
    [503, 'SlowDown', 'SERVER_FAILED', 4],
  ])('with %i %s is %s, after %i attempts', async (status, code, expected, attempts) => {
    server.hook = () => s3Error(status, code);
    const failure = await failureOf(() => storeWith().getSmall(ref));
    expect([failure.code, server.asked.length]).toEqual([expected, attempts]);
    if (status !== 301) expect(failure.message).toContain(`${status} ${code}, request request-1`);
    expect(inspect(failure, { depth: 10 })).not.toMatch(/secret|words of the server|Signature=/);
  });

  it.each<[number, string]>([
    [403, 'text/html'],
    [404, 'text/html; charset=utf-8'],
    [404, 'text/plain'],
    [200, 'text/html'],
    [302, 'text/html'],
    [407, 'text/html'],
    [511, 'text/html'],
  ])('with status %i and %s is a page of something before it, and is asked again', async (status, type) => {
    server.put(small, Uint8Array.of(1, 2, 3));
    times(
      3,
      () => true,
      () => ({ status, headers: { 'content-type': type }, body: '<html>maintenance</html>' }),
    );
    expect([...(await storeWith().getSmall(ref))]).toEqual([1, 2, 3]);
  });

  it('that is no S3 answer is told', async () => {
    server.hook = () => ({ status: 502, body: '<html>' });
    expect(await codeOf(() => storeWith().getSmall(ref))).toBe('SERVER_FAILED');
    server.hook = () => ({ status: 200, body: 'this is no list' });
    expect(['RESPONSE_INVALID', 'IO_FAILED']).toContain(await codeOf(() => refs(storeWith())));
  });

  it('is waited for no longer than allowed, and asked again', async () => {
    server.hook = () => 'taken';
    expect(await codeOf(() => storeWith({ timeoutMs: 50 }).getSmall(ref))).toBe('TIMED_OUT');
    expect(server.asked).toHaveLength(4);
  });

  it('breaks off in the middle and is asked again', async () => {
    server.put(small, Uint8Array.of(1, 2, 3));
    times(
      2,
      ({ method }) => method === 'GET',
      (_, response) => {
        response.writeHead(200, { 'content-length': '3' });
        response.write(Uint8Array.of(1));
        setImmediate(() => response.destroy());
        return 'taken';
      },
    );
    expect([...(await storeWith().getSmall(ref))]).toEqual([1, 2, 3]);
  });

  it('is too long for a small part', async () => {
    server.hook = (_, response) => {
      response.writeHead(200, { 'content-length': String(18 * MIB) });
      response.write('x');
      return 'taken';
    };
    expect(await codeOf(() => storeWith().getSmall(ref))).toBe('LIMIT_EXCEEDED');
  });

  it('in pages is read to the end, and a list that stands still is refused', async () => {
    server.pageSize = 2;
    for (let version = 0; version < 7; version += 1) server.put(`small/net/${version}`, Uint8Array.of(1));
    server.put('small/not-a-model', Uint8Array.of(1));
    server.put('small/net/1/more', Uint8Array.of(1));
    expect(await refs(storeWith())).toHaveLength(7);
    server.hook = () => ({
      body: '<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>on</NextContinuationToken></ListBucketResult>',
    });
    expect(await codeOf(() => refs(storeWith()))).toBe('RESPONSE_INVALID');
  });
});

describe('garbage under a name', () => {
  it('is something published, and is replaced where that is asked for', async () => {
    const file = path.join(folder, 'replacing');
    writeFileSync(file, randomBytes(1000));
    server.put(small, Uint8Array.of(1, 2, 3));
    expect(await storeWith().published?.(ref)).toEqual({ payloadId: '', state: 'released' });
    const options = { ...ref, recipients: [MasterKey.generate()], to: storeWith(), resume: path.join(folder, 'staging') };
    expect(await codeOf(() => protect(file, options))).toBe('ALREADY_EXISTS');
    const { payloadId } = await protect(file, { ...options, overwrite: true });
    expect((await storeWith().published?.(ref))?.payloadId).toBe(payloadId);
  });
});

describe('a publication that goes on', () => {
  it('sends pieces again that were replaced since, and no others', async () => {
    const file = path.join(folder, 'replaced-piece');
    writeFileSync(file, randomBytes(2 * PIECE + 1000));
    const options = { ...ref, recipients: [MasterKey.generate()], to: storeWith(), resume: path.join(folder, 'pieces') };
    const isPiece = ({ query }: { readonly query: URLSearchParams }, number: number) =>
      query.get('partNumber') === String(number);
    // The last piece is refused once the others are there: a failure ends those that are under way.
    server.hook = (asked) => {
      if (!isPiece(asked, 3)) return undefined;
      return [...server.uploads.values()][0]?.parts.size === 2 ? s3Error(403, 'AccessDenied') : s3Error(503, 'SlowDown');
    };
    await failureOf(() => protect(file, options));
    const [[, upload] = []] = [...server.uploads];
    const whole = upload?.parts.get(1);
    if (!whole) throw new Error('the first run sent no piece');
    const body = Buffer.from(whole.body);
    body[1000] = (body[1000] ?? 0) ^ 1;
    upload?.parts.set(1, { ...whole, body, etag: `"${createHash('md5').update(body).digest('hex')}"` });

    server.hook = () => undefined;
    server.asked.length = 0;
    await protect(file, options);
    const sent = [1, 2, 3].map(
      (number) => server.asked.filter((asked) => asked.method === 'PUT' && isPiece(asked, number)).length,
    );
    expect(sent).toEqual([1, 0, 1]);
    const [stored] = [...server.objects].flatMap(([key, object]) => (key.startsWith('big/') ? [object.body] : []));
    expect(Buffer.compare(stored?.subarray(0, PIECE) ?? Buffer.of(), whole.body)).toBe(0);
  });
});

describe('the commit', () => {
  const mine = Uint8Array.of(1, 2, 3);
  const put = (store = storeWith()) => store.putSmall(ref, mine, { ifAbsent: true });
  /** Arrives, and nobody hears of it. */
  const lost: FakeS3['hook'] = (asked, response) => {
    server.truth(asked);
    response.destroy();
    return 'taken';
  };

  it('whose answer is lost is looked for, not done again', async () => {
    times(1, puts, lost);
    await put();
    expect(server.count('PUT')).toBe(1);
  });

  it('that did not arrive is an error, and so is one that nobody can look for', async () => {
    times(1, puts, (_, response) => {
      response.destroy();
      return 'taken';
    });
    expect(await codeOf(put)).toBe('SERVER_UNREACHABLE');
    expect(server.objects.size).toBe(0);
    times(1, puts, lost);
    expect(await codeOf(() => put(storeWith({ credentials: { write: keys() } })))).toBe('SERVER_UNREACHABLE');
  });

  it('is refused where another one is there, in whatever way the server says it', async () => {
    server.put(small, Uint8Array.of(9));
    expect(await codeOf(put)).toBe('ALREADY_EXISTS');
    server.hook = (asked) => (puts(asked) ? s3Error(409, 'ConditionalRequestConflict') : undefined);
    expect(await codeOf(put)).toBe('ALREADY_EXISTS');
    expect([...(server.objects.get(small)?.body ?? [])]).toEqual([9]);
  });

  it('is done again where the server did nothing', async () => {
    times(2, puts, () => s3Error(503, 'SlowDown'));
    await put();
    expect(server.count('PUT')).toBe(3);
    times(1, puts, () => s3Error(409, 'ConditionalRequestConflict'));
    await storeWith().putSmall({ name: 'net', version: '2' }, mine, { ifAbsent: true });
  });

  it('is refused early by a store that can see it, and late by one that cannot', async () => {
    const file = path.join(folder, 'model');
    writeFileSync(file, randomBytes(1000));
    const options = { name: 'net', version: '1', recipients: [MasterKey.generate()] };
    await protect(file, { ...options, to: storeWith() });
    const bigs = server.count('PUT', 'big/');
    expect(await codeOf(() => protect(file, { ...options, to: storeWith() }))).toBe('ALREADY_EXISTS');
    expect(server.count('PUT', 'big/')).toBe(bigs);
    const blind = storeWith({ credentials: { write: keys() } });
    expect(await codeOf(() => protect(file, { ...options, to: blind }))).toBe('ALREADY_EXISTS');
    expect(await blind.published?.(ref)).toBeUndefined();
    expect(await storeWith().published?.(ref)).toMatchObject({
      state: 'released',
      payloadId: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
  });

  it('is not taken for absent because reading it is refused, where a list shows it', async () => {
    const refuse = (lists: boolean) => {
      server.hook = ({ method, key }) => (method === 'GET' && (key !== '' || !lists) ? s3Error(403, 'AccessDenied') : undefined);
    };
    server.put(small, Uint8Array.of(1));
    refuse(true);
    expect(await codeOf(async () => storeWith().published?.(ref))).toBe('PERMISSION_DENIED');
    expect(await storeWith().published?.({ name: 'net', version: '1.0' })).toBeUndefined();
    // Neither read nor listed: the commit decides.
    refuse(false);
    expect(await storeWith().published?.(ref)).toBeUndefined();
    expect(await codeOf(() => storeWith().putSmall(ref, Uint8Array.of(2), { ifAbsent: true }))).toBe('ALREADY_EXISTS');
  });
});

describe('without the AWS SDK', () => {
  it('says what to install', async () => {
    vi.doMock('@aws-sdk/client-s3', () => {
      throw new Error('no such package');
    });
    vi.resetModules();
    const { s3Store: fresh } = await import('../../src/stores/s3/store.js');
    const store = fresh({ bucket: 'models', endpoint: server.endpoint, credentials: keys() });
    await expect(store.getSmall(ref)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/npm install @aws-sdk\/client-s3/),
    });
    vi.doUnmock('@aws-sdk/client-s3');
  });
});
