/** Answers of a hostile bucket to the server. If these fail, it takes the server's memory, or holds a request for ever. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sendEndlessly } from '../../test/support/endless-answer.js';
import { failureOf } from '../../test/support/failures.js';
import { FakeS3 } from '../../test/support/fake-s3.js';
import { wholeOf } from '../src/models/s3/bounded-answers.js';
import { Bucket } from '../src/models/s3/bucket.js';

const pair = { id: 'id', secret: 's'.repeat(40) };
let s3: FakeS3;
let bucket: Bucket;
beforeEach(async () => {
  s3 = await new FakeS3().listen();
  const place = {
    name: 'parts',
    endpoint: s3.endpoint,
    region: 'us-east-1',
    prefix: '',
    pathStyle: true,
    pieceBytes: 5 * 2 ** 20,
  };
  bucket = new Bucket(place, { read: pair, write: pair });
});
afterEach(() => {
  bucket.close();
  s3.close();
});
const codeOf = async (task: () => Promise<unknown>): Promise<string> => (await failureOf(task)).code;
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
  const upload = '<Upload><Key>big/x</Key><UploadId>u</UploadId><Initiated>2026-01-01T00:00:00Z</Initiated></Upload>';
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
  expect(await codeOf(uploads)).toBe('SERVER_UNREACHABLE');
  expect(sent()).toBeLessThan(100_000_000);
});

it('one that drips is given up', async () => {
  let time = 0;
  async function* drip(): AsyncGenerator<Uint8Array> {
    for (;;) {
      time += 200;
      yield Uint8Array.of(1);
    }
  }
  await expect(wholeOf(drip(), () => time)).rejects.toThrow('too slowly');
  expect(time).toBe(30_000);
});
