/** Rights at the bucket: clients hold no keys, and each URL and each pair of keys allows one thing. */
import {
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetBucketPolicyCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { load } from '@org/model-guard';
import type { RouteAnswer } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forms } from '../../../test/support/needles.js';
import { type KeyPair, s3Client } from '../../../test/support/services.js';
import type { BucketConfig } from '../../src/base/config.js';
import { S3Parts } from '../../src/parts/s3/s3-parts.js';
import {
  type BucketLab,
  begin,
  beginPieces,
  complete,
  numbersOf,
  PIECE,
  pieceOf,
  publish,
  send,
  startBucketLab,
  THREE_PIECES,
  urlsOf,
} from '../support/bucket-lab.js';
import { readyDevice } from '../support/clients.js';
import { type Edge, startEdge } from '../support/edge.js';
import { entitle, type Grant, Machine, type TestContainer, takeLease } from '../support/story.js';

const CDN_KEY = 'what this server and the edges know';

let lab: BucketLab;
let edge: Edge;
/** Everything that a client was answered, by the server and by the bucket. */
const seen: string[] = [];
beforeAll(async () => {
  lab = await startBucketLab();
  const { app } = lab.server;
  const inject = app.inject.bind(app) as (given: unknown) => ReturnType<typeof app.inject>;
  app.inject = ((given: unknown) =>
    inject(given).then((answer) => {
      seen.push(JSON.stringify(answer.headers), answer.body);
      return answer;
    })) as unknown as typeof app.inject;
});
afterAll(() => lab.close());

async function ask(url: string, init: RequestInit = {}): Promise<{ status: number; bytes: Buffer }> {
  const answer = await fetch(url, init);
  const bytes = Buffer.from(await answer.arrayBuffer());
  seen.push(JSON.stringify([...answer.headers]), bytes.length < 10_000 ? bytes.toString('latin1') : '');
  return { status: answer.status, bytes };
}
const put = async (url: string, bytes: Uint8Array): Promise<number> =>
  (await ask(url, { method: 'PUT', body: Buffer.from(bytes) })).status;
const pieceUrl = async (upload: string, number: number): Promise<string> => {
  const { urls } = (await urlsOf(lab.publisher, upload, [number])).json() as RouteAnswer<'uploadUrls'>;
  return urls[0]?.url ?? '';
};
/** The URL with something else in the path or the query. */
const changed = (url: string, from: string, to: string): string => {
  expect(url).toContain(from);
  return url.replace(from, to);
};

describe('a client', () => {
  let made: TestContainer;
  let grant: Grant;
  beforeAll(async () => {
    const { publisher, server } = lab;
    made = await publisher.make({ size: THREE_PIECES });
    const { upload } = await beginPieces(publisher, made);
    for (const number of [1, 2, 3]) expect(await put(await pieceUrl(upload, number), pieceOf(made, number))).toBe(200);
    await beginPieces(publisher, made);
    await complete(publisher, upload);
    await publisher.commit(made);
    await entitle(server, 'operator', { seats: 9 });
    grant = await takeLease(await Machine.ready(server));
  });

  it('is told no secret, from the first piece of a publication to the last byte of a load', async () => {
    const { status, bytes } = await ask(grant.big.url);
    expect(status).toBe(200);
    expect(Buffer.compare(bytes, made.big)).toBe(0);
    await ask(grant.big.treeUrl ?? '');
    expect(seen.length).toBeGreaterThan(20);
    const told = seen.join('\n');
    // So that the search would find something: the ids of the keys stand in every URL.
    expect(told).toContain(lab.bucket.read.id);
    expect(told).toContain(lab.bucket.write.id);
    for (const { secret } of [lab.bucket.read, lab.bucket.write])
      for (const form of forms('the secret', Buffer.from(secret)))
        expect(told.includes(Buffer.from(form.bytes).toString('latin1')), form.label).toBe(false);
    expect(told).not.toContain(lab.bucket.owner.id);
  });

  it('has a URL that is for reading, for this object, for some minutes', async () => {
    const { server } = lab;
    const { url, expires, name } = grant.big;
    expect(expires).toBe(server.clock.now + server.config.partUrlSeconds);
    expect(await put(url, Buffer.from('other bytes'))).toBe(403);
    expect((await ask(url, { method: 'DELETE' })).status).toBe(403);
    expect((await ask(changed(url, name, `${name}.tree`))).status).toBe(403);
    expect((await ask(changed(url, `X-Amz-Expires=${server.config.partUrlSeconds}`, 'X-Amz-Expires=86400'))).status).toBe(403);

    const [now, { parts }] = [server.clock.now, server.context];
    server.clock.now = now - server.config.partUrlSeconds + 60;
    expect((await ask((await parts.urls.sign(name)).url)).status).toBe(200);
    server.clock.now = now - server.config.partUrlSeconds - 60;
    const over = await parts.urls.sign(name);
    server.clock.now = now;
    expect(over.expires).toBe(now - 60);
    expect((await ask(over.url)).status).toBe(403);
  });

  it('has a URL for each piece, and for nothing else', async () => {
    const other = await lab.publisher.make({ version: 'pieces', size: THREE_PIECES });
    const { upload } = await beginPieces(lab.publisher, other);
    const url = await pieceUrl(upload, 1);
    const bytes = pieceOf(other, 1);
    expect(bytes.length).toBe(PIECE);
    expect(await put(url, bytes.subarray(1))).toBe(403);
    expect(await put(url, Buffer.concat([bytes, Buffer.alloc(1)]))).toBe(403);
    expect(await put(changed(url, 'partNumber=1', 'partNumber=2'), bytes)).toBe(403);
    expect(await put(changed(url, other.bigName, made.bigName), bytes)).toBe(403);
    expect(await put(new URL(url).href.split('?')[0] ?? '', bytes)).toBe(403);
    expect((await ask(url)).status).toBe(403);
    expect((await ask(changed(url, other.bigName, made.bigName))).status).toBe(403);
    const { server } = lab;
    const now = server.clock.now;
    server.clock.now = now - server.config.partUrlSeconds - 60;
    const over = await pieceUrl(upload, 1);
    server.clock.now = now;
    expect(await put(over, bytes)).toBe(403);
    expect((await beginPieces(lab.publisher, other)).present).toEqual([]);
    expect(await put(url, bytes)).toBe(200);
    expect((await beginPieces(lab.publisher, other)).present).toEqual([{ number: 1, size: PIECE }]);
  });
});

describe('of the two pairs of keys', () => {
  let made: TestContainer;
  beforeAll(async () => {
    made = await lab.publisher.make({ version: 'rights' });
    await send(lab.publisher, (await beginPieces(lab.publisher, made)).upload, made, [1]);
  });
  const rights = async (keys: KeyPair, task: (client: S3Client) => Promise<unknown>): Promise<unknown> => {
    const client = s3Client(lab.bucket, keys);
    try {
      await task(client);
      return 'allowed';
    } catch (error) {
      return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
    } finally {
      client.destroy();
    }
  };
  const object = () => ({ Bucket: lab.bucket.bucket, Key: `big/${made.bigName}` });

  it('the one that reads cannot write', async () => {
    const { read } = lab.bucket;
    const row = await lab.server.context.db
      .selectFrom('uploads')
      .select('storage_id')
      .where('part', '=', made.bigName)
      .executeTakeFirstOrThrow();
    const piece = { ...object(), UploadId: row.storage_id, PartNumber: 1, Body: Buffer.from('x') };
    expect(await rights(read, (client) => client.send(new PutObjectCommand({ ...object(), Body: 'x' })))).toBe(403);
    expect(await rights(read, (client) => client.send(new CreateMultipartUploadCommand(object())))).toBe(403);
    expect(await rights(read, (client) => client.send(new UploadPartCommand(piece)))).toBe(403);
    expect(await rights(read, (client) => client.send(new DeleteObjectCommand(object())))).toBe(403);
  });

  it('the one that writes cannot read', async () => {
    const { read, write } = lab.bucket;
    const stored = await publish(lab.publisher, { version: 'read' });
    const target = { Bucket: lab.bucket.bucket, Key: `big/${stored.bigName}` };
    expect(await rights(write, (client) => client.send(new GetObjectCommand(target)))).toBe(403);
    expect(await rights(write, (client) => client.send(new HeadObjectCommand(target)))).toBe(403);
    expect(await rights(read, (client) => client.send(new HeadObjectCommand(target)))).toBe('allowed');
  });
});

describe('a bucket that refuses to read', () => {
  it('loses no part: what is stored stays stored, and the server is not ready', async () => {
    const { publisher, server, bucket } = lab;
    const made = await publisher.make({ version: 'refused', size: THREE_PIECES });
    const { upload: id } = await beginPieces(publisher, made);
    await send(publisher, id, made, numbersOf(made));
    expect((await complete(publisher, id)).statusCode).toBe(200);

    const owner = s3Client(bucket, bucket.owner);
    const { Policy = '' } = await owner.send(new GetBucketPolicyCommand({ Bucket: bucket.bucket }));
    const { Statement, ...rest } = JSON.parse(Policy) as { Statement: unknown[] };
    const blind = JSON.stringify({ ...rest, Statement: Statement.filter((one) => !JSON.stringify(one).includes('user/read')) });
    const obey = async (text: string, status: number): Promise<void> => {
      await owner.send(new PutBucketPolicyCommand({ Bucket: bucket.bucket, Policy: text }));
      // The server of the bucket takes a moment.
      await expect.poll(async () => (await fetch((await server.context.parts.urls.sign(made.bigName)).url)).status).toBe(status);
    };
    const ready = async (): Promise<number> => {
      const other = await S3Parts.open(server.context, server.config.bucket as BucketConfig);
      try {
        return await other.demandReadable().then(
          () => 200,
          () => 500,
        );
      } finally {
        other.close();
      }
    };
    try {
      expect(await ready()).toBe(200);
      await obey(blind, 403);
      expect((await begin(publisher, made)).statusCode).toBe(500);
      expect((await publisher.commit(made)).statusCode).toBe(500);
      expect(await ready()).toBe(500);
    } finally {
      await obey(Policy, 200);
      owner.destroy();
    }
    expect((await begin(publisher, made)).json()).toEqual({ kind: 'stored' });
    expect((await publisher.commit(made)).statusCode).toBe(201);
  });
});

describe('with a CDN', () => {
  let cdn: BucketLab;
  beforeAll(async () => {
    edge = await startEdge(CDN_KEY, () => cdn.server.clock.now);
    cdn = await startBucketLab({ cdnUrl: edge.url }, { cdn_key: CDN_KEY });
    edge.origin = cdn.bucket;
    cdn.server.secrets.text('the key of the CDN', CDN_KEY);
    await cdn.server.listen();
  });
  afterAll(async () => {
    await cdn.close();
    await edge.close();
  });

  it('a model is loaded through an edge that checks the HMAC', async () => {
    const { publisher, server } = cdn;
    const made = await publish(publisher, { size: THREE_PIECES });
    await entitle(server, 'operator', { seats: 9 });
    const { guard } = await readyDevice(server, { publishers: { defects: publisher.key.publicKey } });
    using model = await load('defects@1', { from: guard, cache: false });
    expect(Buffer.compare(model.bytes, made.plain)).toBe(0);
    expect(edge.answered).toContain(206);

    const { big } = await takeLease(await Machine.ready(server));
    const status = async (url: string): Promise<number> => (await fetch(url)).status;
    expect(big.url.startsWith(`${edge.url}/big/${made.bigName}?`)).toBe(true);
    expect(await status(big.url)).toBe(200);
    expect(await status(changed(big.url, made.bigName, `${made.bigName}.tree`))).toBe(403);
    expect(await status(changed(big.url, `expires=${big.expires}`, `expires=${big.expires + 1}`))).toBe(403);
    server.clock.now = big.expires + 1;
    expect(await status(big.url)).toBe(403);
  });
});
