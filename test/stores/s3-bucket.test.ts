/** A bucket as an object storage of its own. If these fail, other programs over it write other objects, or are told other facts. */
import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { S3Bucket, type S3BucketSettings } from '../../src/stores/s3/bucket.js';
import { S3Refusal, s3Failure } from '../../src/stores/s3/errors.js';
import { S3Clients } from '../../src/stores/s3/sdk.js';
import { failureOf } from '../support/failures.js';
import { NotedPace } from '../support/fake-client.js';
import { FakeS3, s3Error } from '../support/fake-s3.js';
import { keys } from '../support/s3-lab.js';

const request = { what: 'The object' };
const server = new FakeS3();
let clients: S3Clients;
beforeAll(async () => {
  await server.listen();
  clients = new S3Clients({ endpoint: server.endpoint, credentials: keys() });
});
afterAll(() => {
  clients.close();
  server.close();
});
beforeEach(() => server.reset());
const bucketWith = (settings: S3BucketSettings = {}) => new S3Bucket('models', clients, { pace: new NotedPace(), ...settings });

it('writes objects with the headers that it was given', async () => {
  const bucket = bucketWith({ contentType: 'text/x-model', cacheControl: 'no-store' });
  await bucket.write('a', Uint8Array.of(1), request);
  await bucket.createUpload('b', request);
  for (const { headers } of server.asked) {
    expect(headers['content-type']).toBe('text/x-model');
    expect(headers['cache-control']).toBe('no-store');
  }
  expect(server.asked).toHaveLength(2);
});

it('gives the entity tag of an object, which changes with its bytes', async () => {
  const bucket = bucketWith();
  const tagOf = async (byte: number) => {
    await bucket.write('a', Uint8Array.of(byte), request);
    return (await bucket.head('a', request)).etag;
  };
  const [first, second, third] = [await tagOf(1), await tagOf(2), await tagOf(1)];
  expect(first).toBe('"55a54008ad1ba589aa210d2629c1df41"');
  expect(second).not.toBe(first);
  expect(third).toBe(first);
});

it.each([undefined, 1, 3])('asks again until %s attempts are used up', async (attempts) => {
  server.hook = () => s3Error(500, 'InternalError');
  const failure = await failureOf(() => bucketWith({ attempts }).head('a', request));
  expect(failure.code).toBe('SERVER_FAILED');
  expect(server.asked).toHaveLength(attempts ?? 4);
});

describe('the facts of a refusal', () => {
  it('are its cause', async () => {
    server.hook = () => s3Error(403, 'AccessDenied');
    const { code, cause } = await failureOf(() => bucketWith().read('a', 10, request));
    expect(code).toBe('PERMISSION_DENIED');
    expect(cause).toBeInstanceOf(S3Refusal);
    expect(cause).toMatchObject({ status: 403, s3Code: 'AccessDenied', requestId: 'request-1' });
  });

  it('are words and numbers alone', () => {
    const thrown = {
      name: 'Denied to Signature=abc',
      $metadata: { httpStatusCode: 403, requestId: 'for AKIA/secret' },
      $response: { statusCode: 403, headers: { authorization: 'Signature=abc' } },
    };
    const { cause } = s3Failure(thrown, request);
    expect(cause).toMatchObject({ message: '403', status: 403, s3Code: undefined, requestId: undefined });
    expect(inspect(cause)).not.toMatch(/Signature|AKIA/);
  });
});
