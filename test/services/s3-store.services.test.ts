/** s3Store on a real S3 server, with keys that may only read and keys that may only write. */
import { randomBytes } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type BigPartSource,
  load,
  MasterKey,
  type PartStore,
  protect,
  type S3StoreOptions,
  SigningKey,
  s3Store,
  type UploadNotes,
} from '../../src/index.js';
import { failureOf } from '../support/failures.js';
import { type Bucket, type KeyPair, makeBucket, s3Client } from '../support/services.js';
import { temporaryFolder } from '../support/temp.js';

const MIB = 2 ** 20;
const PIECE = 5 * MIB;
const folder = temporaryFolder('s3');
let bucket: Bucket;
let owner: S3Client;
beforeAll(async () => {
  bucket = await makeBucket();
  owner = s3Client(bucket, bucket.owner);
});
afterAll(async () => {
  owner.destroy();
  await bucket.remove();
});

const keysOf = ({ id, secret }: KeyPair) => ({ accessKeyId: id, secretAccessKey: secret });
const storeWith = (more: Partial<S3StoreOptions> = {}): PartStore =>
  s3Store({
    bucket: bucket.bucket,
    endpoint: bucket.endpoint,
    credentials: { read: keysOf(bucket.read), write: keysOf(bucket.write) },
    pieceBytes: PIECE,
    ...more,
  });
/** Of one who may list and delete as well. */
const ownStore = (more: Partial<S3StoreOptions> = {}): PartStore => storeWith({ credentials: keysOf(bucket.owner), ...more });

let names = 0;
const bigName = (): string => `${(names++).toString(16).padStart(32, '0')}-56`;
const ref = { name: 'net', version: '1' };
const source = (bytes: Uint8Array, more: Partial<BigPartSource> = {}): BigPartSource => ({
  size: bytes.length,
  stream: async function* (offset = 0) {
    for (let at = offset; at < bytes.length; at += 700_000) yield bytes.subarray(at, at + 700_000);
  },
  tree: () => bytes.subarray(0, 64),
  ...more,
});
class Notes implements UploadNotes {
  text: string | undefined;
  read = async () => this.text;
  write = async (text: string) => {
    this.text = text;
  };
}
async function whole(store: PartStore, name: string): Promise<Buffer> {
  const part = await store.openBig(ref, name);
  try {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < part.size; at += MIB) {
      const read = await part.read(at, Math.min(MIB, part.size - at));
      pieces.push(...(read instanceof Uint8Array ? [read] : read));
    }
    return Buffer.concat(pieces);
  } finally {
    await part.close();
  }
}
const keysBelow = async (Prefix: string): Promise<string[]> => {
  const { Contents = [] } = await owner.send(new ListObjectsV2Command({ Bucket: bucket.bucket, Prefix }));
  return Contents.map(({ Key = '' }) => Key);
};
const uploadsBelow = async (Prefix: string): Promise<number> => {
  const { Uploads = [] } = await owner.send(new ListMultipartUploadsCommand({ Bucket: bucket.bucket, Prefix }));
  return Uploads.length;
};

describe('publishing and loading', () => {
  const key = MasterKey.generate();
  const signer = SigningKey.generate();
  const protectOptions = { recipients: [key], signer };

  it.each([
    ['in one request', 1 * MIB],
    ['in pieces', 23 * MIB + 12_345],
  ])('go the whole way, %s, with a pair of keys for each', async (how, size) => {
    const plain = randomBytes(size);
    const file = path.join(folder, how.replaceAll(' ', '-'));
    const handle = await open(file, 'w');
    await handle.writeFile(plain);
    await handle.close();
    const prefix = how.replaceAll(' ', '-');
    const store = storeWith({ prefix });
    const { ref: published } = await protect(file, { ...protectOptions, name: 'net', version: '1', to: store });
    const model = await load(published, { from: store, identities: [key], verifier: signer.publicKey, cache: false });
    expect(Buffer.compare(model.bytes, plain)).toBe(0);
    model.dispose();
    const [big = '', tree] = await keysBelow(`${prefix}/big/`);
    expect([tree, ...(await keysBelow(`${prefix}/small/`))]).toEqual([`${big}.tree`, `${prefix}/small/net/1`]);
    expect(await uploadsBelow(prefix)).toBe(0);
    const again = protect(file, { ...protectOptions, name: 'net', version: '1', to: store });
    expect((await failureOf(() => again)).code).toBe('ALREADY_EXISTS');
  });

  it('works for who may only write; who has no keys to read with is told', async () => {
    const file = path.join(folder, 'write-only');
    const handle = await open(file, 'w');
    await handle.writeFile(randomBytes(1000));
    await handle.close();
    const blind = storeWith({ prefix: 'blind', credentials: { write: keysOf(bucket.write) } });
    await protect(file, { ...protectOptions, name: 'net', version: '1', to: blind });
    expect((await failureOf(() => blind.getSmall(ref))).code).toBe('PERMISSION_DENIED');
    expect((await failureOf(() => protect(file, { ...protectOptions, name: 'net', version: '1', to: blind }))).code).toBe(
      'ALREADY_EXISTS',
    );
    const dumb = storeWith({ prefix: 'blind', credentials: { read: keysOf(bucket.read) } });
    expect((await dumb.getSmall(ref)).length).toBeGreaterThan(0);
    expect((await failureOf(() => dumb.putSmall(ref, new Uint8Array(1)))).code).toBe('PERMISSION_DENIED');
  });
});

describe('small parts', () => {
  it('are published by exactly one of many who race', async () => {
    const store = storeWith({ prefix: 'race' });
    const results = await Promise.allSettled(
      Array.from({ length: 12 }, (_, index) => store.putSmall(ref, Uint8Array.of(index), { ifAbsent: true })),
    );
    const won = results.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []));
    expect(won).toHaveLength(1);
    expect([...(await store.getSmall(ref))]).toEqual(won);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'ALREADY_EXISTS' });
    // The same bytes are what this writer wanted, whoever wrote them.
    await store.putSmall(ref, Uint8Array.from(won), { ifAbsent: true });
  });

  it('are replaced, listed and missed', async () => {
    const store = ownStore({ prefix: 'small' });
    await store.putSmall(ref, Uint8Array.of(1));
    await store.putSmall(ref, Uint8Array.of(2));
    expect([...(await store.getSmall(ref))]).toEqual([2]);
    const found = [];
    for await (const one of store.list()) found.push(one);
    expect(found).toEqual([ref]);
    expect((await failureOf(() => store.getSmall({ name: 'net', version: '2' }))).code).toBe('NOT_FOUND');
    expect((await failureOf(() => store.openBig(ref, bigName()))).code).toBe('NOT_FOUND');
  });
});

describe('refusals', () => {
  it('of keys, buckets and secrets are told apart, and show nothing', async () => {
    const secret = 'not-the-secret-of-anybody';
    const wrong = storeWith({ credentials: { accessKeyId: bucket.read.id, secretAccessKey: secret } });
    const failure = await failureOf(() => wrong.getSmall(ref));
    expect(failure.code).toBe('PERMISSION_DENIED');
    expect(JSON.stringify([failure.message, failure.stack, failure.cause])).not.toContain(secret);
    const nowhere = ownStore({ bucket: 'no-such-bucket-here' });
    expect((await failureOf(() => nowhere.getSmall(ref))).code).toBe('NOT_FOUND');
    // Without the right to list, what is missing is refused.
    expect((await failureOf(() => storeWith().getSmall({ name: 'missing', version: '1' }))).code).toBe('PERMISSION_DENIED');
    const away = storeWith({ endpoint: 'http://127.0.0.1:9' });
    expect((await failureOf(() => away.getSmall(ref))).code).toBe('SERVER_UNREACHABLE');
  });
});

describe('an upload', () => {
  it('that a crash ended goes on where it was: only what is missing is sent', async () => {
    const store = ownStore({ prefix: 'resume', connections: 1 });
    const bytes = randomBytes(4 * PIECE + 100);
    const file = path.join(folder, 'resumed');
    await writeFile(file, bytes);
    const name = bigName();
    const notes = new Notes();
    const crash = new Error('the power went out');
    let streamed = 0;
    const staged = (broken: boolean): BigPartSource =>
      source(bytes, {
        file,
        notes,
        async *stream(offset = 0) {
          for (let at = offset; at < bytes.length; at += MIB) {
            if (broken && at > 3 * PIECE) throw crash;
            streamed += Math.min(MIB, bytes.length - at);
            yield bytes.subarray(at, at + MIB);
          }
        },
      });
    await expect(store.putBig(ref, name, staged(true))).rejects.toBe(crash);
    expect(await uploadsBelow('resume/')).toBe(1);
    streamed = 0;
    let skipped = 0;
    await store.putBig(ref, name, { ...staged(false), skipped: (count) => (skipped += count) });
    expect(skipped).toBeGreaterThanOrEqual(PIECE);
    expect(streamed).toBe(bytes.length - skipped);
    expect(Buffer.compare(await whole(store, name), bytes)).toBe(0);
    expect(await uploadsBelow('resume/')).toBe(0);
    // Once more, as after a crash before the commit: all of it is there.
    await store.putBig(ref, name, staged(true));
    expect((await failureOf(() => store.putBig(ref, name, source(bytes)))).code).toBe('ALREADY_EXISTS');
  });

  it('that is gone begins anew', async () => {
    const store = ownStore({ prefix: 'gone' });
    const bytes = randomBytes(2 * PIECE);
    const notes = new Notes();
    notes.text = JSON.stringify({ upload: '2~nobodyknowsthisupload', pieceBytes: PIECE });
    const name = bigName();
    await store.putBig(ref, name, source(bytes, { file: '/staged', notes }));
    expect(Buffer.compare(await whole(store, name), bytes)).toBe(0);
  });

  it('that fails and cannot be sent on leaves nothing', async () => {
    const store = storeWith({ prefix: 'failed' });
    const bytes = randomBytes(3 * PIECE);
    const name = bigName();
    const broken = new Error('the source broke');
    const failing = source(bytes, {
      async *stream() {
        yield bytes.subarray(0, 2 * PIECE);
        throw broken;
      },
    });
    await expect(store.putBig(ref, name, failing)).rejects.toBe(broken);
    expect((await failureOf(() => store.putBig(ref, name, source(bytes, { size: bytes.length + 1 })))).code).toBe('IO_FAILED');
    expect((await failureOf(() => store.putBig(ref, name, source(bytes, { size: bytes.length - 1 })))).code).toBe('IO_FAILED');
    expect([await keysBelow('failed/'), await uploadsBelow('failed/')]).toEqual([[], 0]);
  });

  it('is given up on demand', async () => {
    const store = storeWith({ prefix: 'abandoned' });
    const Key = `abandoned/big/${bigName()}`;
    const { UploadId } = await owner.send(new CreateMultipartUploadCommand({ Bucket: bucket.bucket, Key }));
    const notes = JSON.stringify({ upload: UploadId, pieceBytes: PIECE });
    await store.abandonBig?.(ref, path.basename(Key), notes);
    expect(await uploadsBelow('abandoned/')).toBe(0);
    await store.abandonBig?.(ref, path.basename(Key), notes);
    await store.abandonBig?.(ref, path.basename(Key), 'notes of another store');
  });
});

describe('collecting', () => {
  it('ends uploads that nobody goes on with, and lets young ones be', async () => {
    const Key = `uploads/big/${bigName()}`;
    await owner.send(new CreateMultipartUploadCommand({ Bucket: bucket.bucket, Key }));
    expect(await ownStore({ prefix: 'uploads' }).collect()).toEqual([]);
    expect(await uploadsBelow('uploads/')).toBe(1);
    const greedy = ownStore({ prefix: 'uploads', graceMs: 0 });
    await expect.poll(() => greedy.collect(), { timeout: 20_000 }).toEqual([Key.slice('uploads/'.length)]);
    expect(await uploadsBelow('uploads/')).toBe(0);
  });

  it('removes parts that no small part names, with their trees, and nothing else', async () => {
    const key = MasterKey.generate();
    const file = path.join(folder, 'collected');
    const handle = await open(file, 'w');
    await handle.writeFile(randomBytes(10_000));
    await handle.close();
    const store = ownStore({ prefix: 'collect', graceMs: 0 });
    await protect(file, { name: 'net', version: '1', recipients: [key], to: store });
    const [kept] = await keysBelow('collect/big/');
    const unused = bigName();
    await store.putBig(ref, unused, source(randomBytes(100)));
    expect(await ownStore({ prefix: 'collect', graceMs: 3_600_000 }).collect()).toEqual([]);
    const removed = new Set<string>();
    await expect
      .poll(
        async () => {
          for (const one of await store.collect()) removed.add(one);
          return [...removed].sort();
        },
        { timeout: 20_000 },
      )
      .toEqual([`big/${unused}`, `big/${unused}.tree`]);
    expect(await keysBelow('collect/big/')).toEqual([kept, `${kept}.tree`]);
  });
});
