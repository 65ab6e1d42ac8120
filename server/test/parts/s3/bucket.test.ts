/**
 * The bucket of the server: its bounds, its attempts, and its errors. If these fail, a hostile bucket takes the server's memory or holds a
 * request for ever, the log tells addresses and keys, or the machine's AWS settings redirect the server.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ModelGuardError } from '@org/model-guard';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sendEndlessly } from '../../../../test/support/endless-answer.js';
import { codeOf } from '../../../../test/support/failures.js';
import { FakeS3, s3Error } from '../../../../test/support/fake-s3.js';
import { scaledTimers } from '../../../../test/support/timers.js';
import type { BucketConfig } from '../../../src/base/config.js';
import { Bucket } from '../../../src/parts/s3/bucket.js';

const pairs = { read: { id: 'reader', secret: 'r'.repeat(40) }, write: { id: 'writer', secret: 'w'.repeat(40) } };
const place = (more: Partial<BucketConfig>): BucketConfig => ({
  name: 'parts',
  region: 'eu-central-1',
  prefix: 'models/',
  pathStyle: true,
  pieceBytes: 5 * 2 ** 20,
  ...more,
});
/** Repeats at once. */
const pace = { random: () => 0, sleep: async () => undefined };

let s3: FakeS3;
let bucket: Bucket;
beforeEach(async () => {
  s3 = await new FakeS3().listen();
  bucket = new Bucket(place({ endpoint: s3.endpoint }), pairs, { pace });
});
afterEach(() => {
  bucket.close();
  s3.close();
});
const uploads = async (): Promise<number> => {
  let count = 0;
  for await (const _ of bucket.uploads()) count++;
  return count;
};
const xml = (name: string, inner: string) => ({
  headers: { 'content-type': 'application/xml' },
  body: `<${name}><IsTruncated>true</IsTruncated>${inner}</${name}>`,
});

it('lists in a circle are an error, and so are lists without a marker', async () => {
  const upload = '<Upload><Key>models/big/x</Key><UploadId>u</UploadId><Initiated>2026-01-01T00:00:00Z</Initiated></Upload>';
  const page = (marker: string) => xml('ListMultipartUploadsResult', `${marker}${upload}`);
  s3.hook = () => page(`<NextKeyMarker>k${s3.asked.length % 2}</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>`);
  expect(await codeOf(uploads)).toBe('IO_FAILED');
  s3.hook = () => page('');
  expect(await codeOf(uploads)).toBe('IO_FAILED');
});

it('an upload has no more pieces than S3 takes', async () => {
  const parts = Array.from({ length: 1000 }, () => '<Part><PartNumber>1</PartNumber><Size>1</Size><ETag>e</ETag></Part>').join(
    '',
  );
  s3.hook = () => xml('ListPartsResult', `<NextPartNumberMarker>${s3.asked.length}</NextPartNumberMarker>${parts}`);
  expect(await codeOf(() => bucket.pieces('x', 'u'))).toBe('IO_FAILED');
  expect(s3.asked.length).toBeLessThan(20);
});

it('a list that is longer than any list is not read to its end', async () => {
  let sent = (): number => 0;
  s3.hook = (_, response) => {
    sent = sendEndlessly(response);
    return 'taken';
  };
  expect(await codeOf(uploads)).toBe('IO_FAILED');
  expect(sent()).toBeLessThan(100_000_000);
});

it('an answer that drips is given up', async () => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/xml' });
    const drip = (): void => {
      if (response.destroyed) return;
      response.write('x');
      setImmediate(drip);
    };
    drip();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  // Half a minute of the server's time is three milliseconds here.
  const dripping = new Bucket(place({ endpoint }), pairs, { pace, timers: scaledTimers(10_000) });
  const list = async () => {
    for await (const _ of dripping.uploads());
  };
  try {
    expect(await codeOf(list)).toBe('SERVER_UNREACHABLE');
  } finally {
    dripping.close();
    server.closeAllConnections();
    server.close();
  }
});

describe('a failure', () => {
  it.each([
    [400, 'InvalidRequest', 'IO_FAILED', 1],
    [403, 'InvalidAccessKeyId', 'IO_FAILED', 1],
    [429, 'TooManyRequests', 'SERVER_UNREACHABLE', 3],
    [500, 'InternalError', 'SERVER_UNREACHABLE', 3],
    [503, 'SlowDown', 'SERVER_UNREACHABLE', 3],
    [507, 'XMinioStorageFull', 'SERVER_UNREACHABLE', 1],
  ])('with status %i %s is %s after %i attempts, and its cause holds the facts alone', async (status, name, code, attempts) => {
    s3.hook = () => s3Error(status, name);
    const error = await bucket.put('x', Uint8Array.of(1)).catch((thrown: ModelGuardError) => thrown);
    expect(error).toMatchObject({ code, cause: { message: `PutObject: ${status} ${name}, request request-1` } });
    expect(s3.asked).toHaveLength(attempts);
    const { stack = '', cause } = error as ModelGuardError;
    for (const secret of ['127.0.0.1', 'Signature', pairs.write.id, pairs.write.secret])
      expect(`${stack}\n${(cause as Error).stack}`).not.toContain(secret);
  });

  it('of the network names no address', async () => {
    s3.close();
    const error = (await bucket.size('x').catch((thrown: unknown) => thrown)) as ModelGuardError;
    expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE', cause: { message: 'HeadObject: ECONNREFUSED' } });
    expect(`${error.stack}`).not.toContain('127.0.0.1');
  });

  it('that proves no upload unknown is not taken for one', async () => {
    const id = s3.begin('models/big/x');
    s3.hook = ({ method }) => (method === 'GET' ? undefined : s3Error(403, 'AccessDenied'));
    expect(await codeOf(() => bucket.abort('x', id))).toBe('IO_FAILED');
    await bucket.abort('x', 'another');
    s3.hook = () => undefined;
    expect(await bucket.pieces('x', 'another')).toBeUndefined();
    expect(await bucket.complete('x', 'another', [])).toBe(false);
  });
});

it('every object is written as private bytes that never change', async () => {
  await bucket.put('x', Uint8Array.of(1));
  await bucket.create('y');
  expect(s3.asked.map(({ key, headers }) => [key, headers['content-type'], headers['cache-control']])).toEqual([
    ['models/big/x', 'application/octet-stream', 'private, max-age=31536000, immutable'],
    ['models/big/y', 'application/octet-stream', 'private, max-age=31536000, immutable'],
  ]);
  expect(await bucket.etag('x')).toBe(s3.objects.get('models/big/x')?.etag);
});

describe("the machine's AWS settings", () => {
  beforeEach(() => {
    for (const [name, value] of Object.entries({
      AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
      AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9',
      AWS_REGION: 'us-gov-west-1',
      AWS_ACCESS_KEY_ID: 'another',
      AWS_SECRET_ACCESS_KEY: 'another secret',
      AWS_USE_FIPS_ENDPOINT: 'true',
      AWS_USE_DUALSTACK_ENDPOINT: 'true',
      AWS_MAX_ATTEMPTS: '9',
      AWS_RETRY_MODE: 'adaptive',
      HTTP_PROXY: 'http://127.0.0.1:9',
    }))
      vi.stubEnv(name, value);
  });
  afterEach(() => vi.unstubAllEnvs());

  it('do not count for its requests', async () => {
    const own = new Bucket(place({ endpoint: s3.endpoint }), pairs, { pace });
    s3.hook = () => s3Error(500, 'InternalError');
    expect(await codeOf(() => own.size('x'))).toBe('SERVER_UNREACHABLE');
    expect(s3.asked.map(({ keyId }) => keyId)).toEqual(['reader', 'reader', 'reader']);
    own.close();
  });

  it('do not count for the addresses that it signs', async () => {
    const own = new Bucket(place({ pathStyle: false }), pairs);
    const url = new URL(await own.getUrl('x', { now: 1_700_000_000, seconds: 60 }));
    expect(`${url.host}${url.pathname}`).toBe('parts.s3.eu-central-1.amazonaws.com/models/big/x');
    expect(url.searchParams.get('X-Amz-Credential')).toMatch(/^reader\/[0-9]{8}\/eu-central-1\/s3\//);
    own.close();
  });
});
