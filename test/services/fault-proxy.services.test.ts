/** A request that is signed for the fault proxy's address is good at the S3 server behind it. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { expect, it } from 'vitest';
import { type Fault, startFaultProxy } from '../support/fault-proxy.js';
import { makeBucket, s3Client } from '../support/services.js';

it('passes on what the S3 client and presigned URLs ask', async () => {
  const bucket = await makeBucket();
  let fault: Fault | undefined;
  const proxy = await startFaultProxy(bucket.endpoint, () => fault);
  const [read, write] = [bucket.read, bucket.write].map((pair) => s3Client({ ...bucket, endpoint: proxy.url }, pair));
  if (!read || !write) throw new Error('no clients');
  try {
    const object = { Bucket: bucket.bucket, Key: 'a' };
    // Long enough for the client to ask first whether it may send it (100-continue).
    const Body = new Uint8Array(6 * 2 ** 20).fill(7);
    await write.send(new PutObjectCommand({ ...object, Body }));
    await write.send(new DeleteObjectCommand(object));

    const { UploadId } = await write.send(new CreateMultipartUploadCommand(object));
    const part = { ...object, UploadId, PartNumber: 1 };
    const url = await getSignedUrl(write, new UploadPartCommand(part));
    fault = { kind: 'cut', after: 1_000_000, of: 'request' };
    await expect(fetch(url, { method: 'PUT', body: Body })).rejects.toThrow();
    fault = undefined;
    const { ETag } = await write.send(new UploadPartCommand({ ...part, Body }));
    await write.send(new CompleteMultipartUploadCommand({ ...part, MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] } }));
    const other = await write.send(new CreateMultipartUploadCommand(object));
    await write.send(new AbortMultipartUploadCommand({ ...object, UploadId: other.UploadId }));

    const get = await getSignedUrl(read, new GetObjectCommand(object));
    const asked = async (): Promise<unknown> => {
      const answer = await fetch(get, { headers: { range: 'bytes=0-99' } });
      return [answer.status, answer.headers.get('content-range'), (await answer.arrayBuffer()).byteLength];
    };
    expect(await asked()).toEqual([206, `bytes 0-99/${Body.length}`, 100]);
    fault = { kind: 'wrongRange', shift: 10 };
    expect(await asked()).toEqual([206, `bytes 10-109/${Body.length}`, 100]);
    fault = { kind: 'wrongRange', answer: 'whole' };
    expect(await asked()).toEqual([200, null, Body.length]);
  } finally {
    for (const client of [read, write]) client.destroy();
    await proxy.close();
    await bucket.remove();
  }
});
