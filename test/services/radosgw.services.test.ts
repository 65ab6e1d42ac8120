/** The properties of an S3 server that we rely on, and the promises of makeBucket(), shown on a real one. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bucket, makeBucket, s3Client } from '../support/services.js';

let bucket: Bucket;
let read: S3Client;
let write: S3Client;

beforeAll(async () => {
  bucket = await makeBucket();
  read = s3Client(bucket, bucket.read);
  write = s3Client(bucket, bucket.write);
});

afterAll(async () => {
  read.destroy();
  write.destroy();
  await bucket.remove();
});

/** The least that a part may have which is not the last. */
const PART_SIZE = 5 * 2 ** 20;
const bytes = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, at) => at % 251);
const at = (Key: string): { Bucket: string; Key: string } => ({ Bucket: bucket.bucket, Key });
const put = (Key: string, size: number): Promise<unknown> => write.send(new PutObjectCommand({ ...at(Key), Body: bytes(size) }));

/** The status that a request is refused with; undefined: it is not. */
async function refusal(request: Promise<unknown>): Promise<number | undefined> {
  try {
    await request;
    return undefined;
  } catch (error) {
    return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
  }
}

describe('the policy', () => {
  it('lets the pair `read` get objects and nothing else', async () => {
    await put('policy-read', 10);
    const object = at('policy-read');
    expect((await read.send(new GetObjectCommand(object))).ContentLength).toBe(10);
    expect(await refusal(read.send(new PutObjectCommand({ ...object, Body: bytes(1) })))).toBe(403);
    expect(await refusal(read.send(new DeleteObjectCommand(object)))).toBe(403);
    expect(await refusal(read.send(new CreateMultipartUploadCommand(object)))).toBe(403);
    expect(await refusal(read.send(new ListObjectsV2Command({ Bucket: bucket.bucket })))).toBe(403);
  });

  it('lets the pair `write` put and delete objects, and read not even its own', async () => {
    await put('policy-write', 10);
    const object = at('policy-write');
    expect(await refusal(write.send(new GetObjectCommand(object)))).toBe(403);
    expect(await refusal(write.send(new HeadObjectCommand(object)))).toBe(403);
    expect(await refusal(write.send(new ListObjectsV2Command({ Bucket: bucket.bucket })))).toBe(403);
    await write.send(new DeleteObjectCommand(object));
    // Nor does it matter whether it was there; and only who may list learns that it was not.
    await write.send(new DeleteObjectCommand(object));
    expect(await refusal(read.send(new GetObjectCommand(object)))).toBe(403);
  });
});

describe('an object', () => {
  it('is put once where the put says so', async () => {
    const once = (): Promise<unknown> => write.send(new PutObjectCommand({ ...at('once'), Body: bytes(5), IfNoneMatch: '*' }));
    await once();
    expect(await refusal(once())).toBe(412);
  });

  it.each([
    ['bytes=2-4', 'bytes 2-4/10', '020304'],
    ['bytes=8-', 'bytes 8-9/10', '0809'],
    ['bytes=8-100', 'bytes 8-9/10', '0809'],
    ['bytes=-3', 'bytes 7-9/10', '070809'],
  ])('is read by %s', async (range, contentRange, expected) => {
    await put('ranges', 10);
    const url = await getSignedUrl(read, new GetObjectCommand(at('ranges')));
    const answer = await fetch(url, { headers: { range } });
    expect([answer.status, answer.headers.get('content-range')]).toEqual([206, contentRange]);
    expect(Buffer.from(await answer.arrayBuffer()).toString('hex')).toBe(expected);
  });

  it('has an ETag that stays, and refuses a range past its end', async () => {
    await put('etag', 10);
    const url = await getSignedUrl(read, new GetObjectCommand(at('etag')));
    const [whole, part] = [await fetch(url), await fetch(url, { headers: { range: 'bytes=0-0' } })];
    expect(whole.headers.get('etag')).toMatch(/^"[0-9a-f]{32}"$/);
    expect(part.headers.get('etag')).toBe(whole.headers.get('etag'));
    expect((await fetch(url, { headers: { 'if-match': '"another"' } })).status).toBe(412);
    expect((await fetch(url, { headers: { range: 'bytes=10-' } })).status).toBe(416);
  });
});

describe('a presigned URL', () => {
  const past = (seconds: number): Date => new Date(Date.now() - seconds * 1000);
  const get = (options: { expiresIn: number; signingDate?: Date }): Promise<string> =>
    getSignedUrl(read, new GetObjectCommand(at('presigned')), options);

  it('ends when it says, and holds for its method only', async () => {
    await put('presigned', 10);
    expect((await fetch(await get({ expiresIn: 3600, signingDate: past(60) }))).status).toBe(200);
    expect((await fetch(await get({ expiresIn: 60, signingDate: past(120) }))).status).toBe(403);
    expect((await fetch(await get({ expiresIn: 60 }), { method: 'HEAD' })).status).toBe(403);
  });

  it('of a part takes only as many bytes as were signed', async () => {
    const object = at('presigned-part');
    const { UploadId } = await write.send(new CreateMultipartUploadCommand(object));
    const command = new UploadPartCommand({ ...object, UploadId, PartNumber: 1, ContentLength: 100 });
    const url = await getSignedUrl(write, command, { expiresIn: 60, signableHeaders: new Set(['host', 'content-length']) });
    const sent = async (size: number): Promise<number> => (await fetch(url, { method: 'PUT', body: bytes(size) })).status;
    expect([await sent(99), await sent(101), await sent(100)]).toEqual([403, 403, 200]);
  });
});

describe('a multipart upload', () => {
  const begin = async (key: string): Promise<{ Bucket: string; Key: string; UploadId: string | undefined }> => {
    const { UploadId } = await write.send(new CreateMultipartUploadCommand(at(key)));
    return { ...at(key), UploadId };
  };
  const part = async (upload: object, PartNumber: number, size: number): Promise<{ PartNumber: number; ETag?: string }> => {
    const input = { ...(upload as Awaited<ReturnType<typeof begin>>), PartNumber, Body: bytes(size) };
    const { ETag = '' } = await write.send(new UploadPartCommand(input));
    return { PartNumber, ETag };
  };

  it('lists its parts to the writer, a part sent twice once', async () => {
    const upload = await begin('listed');
    await part(upload, 1, 10);
    const parts = [await part(upload, 1, PART_SIZE), await part(upload, 2, 100)];
    const { Parts = [] } = await write.send(new ListPartsCommand(upload));
    expect(Parts.map(({ PartNumber, ETag }) => ({ PartNumber, ETag }))).toEqual(parts);
    expect(Parts.map(({ Size }) => Size)).toEqual([PART_SIZE, 100]);
    const { Uploads = [] } = await write.send(new ListMultipartUploadsCommand({ Bucket: bucket.bucket, Prefix: 'listed' }));
    expect(Uploads.map(({ Key, UploadId }) => ({ Key, UploadId }))).toEqual([{ Key: 'listed', UploadId: upload.UploadId }]);
    expect(await refusal(read.send(new ListPartsCommand(upload)))).toBe(403);
  });

  it('is an object once completed, with exactly the parts that were named', async () => {
    const upload = await begin('completed');
    const parts = [await part(upload, 1, PART_SIZE), await part(upload, 2, 100)];
    const complete = (Parts: typeof parts): Promise<unknown> =>
      write.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }));
    expect(await refusal(complete([{ PartNumber: 1, ETag: '"00000000000000000000000000000000"' }]))).toBe(400);
    expect(await refusal(read.send(new GetObjectCommand(at('completed'))))).toBe(403);
    await complete(parts);
    const Range = `bytes=${PART_SIZE - 1}-${PART_SIZE + 1}`;
    const answer = await read.send(new GetObjectCommand({ ...at('completed'), Range }));
    expect(answer.ContentRange).toBe(`bytes ${PART_SIZE - 1}-${PART_SIZE + 1}/${PART_SIZE + 100}`);
    expect(answer.ETag).toMatch(/^"[0-9a-f]{32}-2"$/);
    const edge = Buffer.of(...bytes(PART_SIZE).subarray(-1), 0, 1);
    expect(await answer.Body?.transformToString('hex')).toBe(edge.toString('hex'));
  });

  it('is gone once aborted', async () => {
    const upload = await begin('aborted');
    const only = await part(upload, 1, 10);
    await write.send(new AbortMultipartUploadCommand(upload));
    expect(await refusal(part(upload, 2, 10))).toBe(404);
    const last = new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: [only] } });
    // 404 or 500: servers differ.
    expect(await refusal(write.send(last))).toBeGreaterThanOrEqual(400);
    expect(await refusal(write.send(new AbortMultipartUploadCommand(upload)))).toBe(404);
    const { Uploads = [] } = await write.send(new ListMultipartUploadsCommand({ Bucket: bucket.bucket, Prefix: 'aborted' }));
    expect(Uploads).toEqual([]);
  });
});
