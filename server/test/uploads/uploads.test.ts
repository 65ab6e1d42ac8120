/** Uploads without a bucket: pieces, the answers of a server without one, and its keys. */
import { createHmac } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Context } from '../../src/context.js';
import { cdnKey, cdnUrls } from '../../src/parts/cdn-url.js';
import { openParts } from '../../src/parts/open-parts.js';
import { clientsOf } from '../../src/parts/s3/clients.js';
import { keyPairs } from '../../src/parts/s3/credentials.js';
import { Presigner } from '../../src/parts/s3/presigner.js';
import { configure, type Settings } from '../../src/start/config.js';
import { outcomeOf } from '../support/outcomes.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { entitle, Machine, type Publisher, Publisher as PublisherOf, startPublisher, takeLease } from '../support/story.js';

describe('a server without a bucket', () => {
  let server: TestServer;
  let admin: Publisher;
  beforeAll(async () => {
    ({ server, publisher: admin } = await startPublisher());
  });
  afterAll(() => server.close());

  it('says that it takes the part itself, or has it', async () => {
    const made = await admin.make();
    const params = { name: made.name, version: made.version, part: made.bigName };
    const begin = (size: number) => server.request('admin', 'beginUpload', { params, body: { size } });
    expect((await begin(made.big.length)).json()).toEqual({ kind: 'direct' });
    await admin.upload(made);
    expect((await begin(made.big.length)).json()).toEqual({ kind: 'stored' });
    expect(outcomeOf(await begin(made.big.length + 1))).toBe('409 ALREADY_EXISTS');
  });

  it('knows no uploads', async () => {
    const params = { upload: '0'.repeat(32) };
    for (const answer of [
      await server.request('admin', 'uploadUrls', { params, body: { numbers: [1] } }),
      await server.request('admin', 'completeUpload', { params, body: {} }),
      await server.request('admin', 'abortUpload', { params }),
    ])
      expect(outcomeOf(answer)).toBe('404 NOT_FOUND');
  });
});

describe('secrets', () => {
  let secretsFolder: string;
  beforeAll(async () => {
    secretsFolder = await mkdtemp(join(tmpdir(), 'guard-secrets-'));
  });
  afterAll(() => rm(secretsFolder, { recursive: true }));
  const place = (production = false) => ({ secretsFolder, production });
  const pairs = {
    MODEL_GUARD_S3_READ_KEY_ID: 'reader',
    MODEL_GUARD_S3_READ_SECRET: 'the secret of the reader',
    MODEL_GUARD_S3_WRITE_KEY_ID: 'writer',
    MODEL_GUARD_S3_WRITE_SECRET: 'the secret of the writer',
  };

  it('of the bucket are two pairs, and an error names what is missing and shows nothing', async () => {
    expect(await keyPairs(place(true), pairs)).toEqual({
      read: { id: 'reader', secret: 'the secret of the reader' },
      write: { id: 'writer', secret: 'the secret of the writer' },
    });
    for (const [name, value] of [...Object.entries(pairs), ['MODEL_GUARD_S3_READ_SECRET', '']] as const) {
      const missing = keyPairs(place(), { ...pairs, [name]: value === '' ? '' : undefined });
      await expect(missing).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(missing).rejects.toThrow(new RegExp(`missing: ${name.toLowerCase()}\\.`));
      await expect(missing).rejects.not.toThrow(/the secret of/);
    }
  });

  it('of the bucket cannot be guessed in production', async () => {
    for (const guessable of ['minioadmin', 'password1234', 'aaaaaaaaaaaaaaaaaaaa', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY']) {
      const weak = { ...pairs, MODEL_GUARD_S3_WRITE_SECRET: guessable };
      await expect(keyPairs(place(true), weak), guessable).rejects.toThrow(/model_guard_s3_write_secret/);
      await expect(keyPairs(place(true), weak)).rejects.not.toThrow(new RegExp(guessable));
      expect((await keyPairs(place(), weak)).write.secret).toBe(guessable);
    }
  });

  it('of the bucket are two in production', async () => {
    const same = { ...pairs, MODEL_GUARD_S3_WRITE_KEY_ID: 'reader', MODEL_GUARD_S3_WRITE_SECRET: 'the secret of the reader' };
    await expect(keyPairs(place(true), same)).rejects.toThrow(/are the same/);
    expect((await keyPairs(place(), same)).write.id).toBe('reader');
  });

  it('of the CDN has at least 32 bytes', async () => {
    await expect(cdnKey(place(), {})).rejects.toThrow(/model_guard_cdn_key/);
    await expect(cdnKey(place(), { MODEL_GUARD_CDN_KEY: 'x'.repeat(31) })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await cdnKey(place(), { MODEL_GUARD_CDN_KEY: 'x'.repeat(32) })).toEqual(Buffer.alloc(32, 'x'));
    await expect(cdnKey(place(true), { MODEL_GUARD_CDN_KEY: 'x'.repeat(32) })).rejects.toThrow(
      /model_guard_cdn_key.*different bytes/,
    );
  });

  it('are asked for where the settings want a bucket or a CDN', async () => {
    const open = (settings: Partial<Settings>) =>
      openParts({ config: configure({ data: secretsFolder, secretsFolder, ...settings }, {}) } as Context);
    await expect(open({ s3Bucket: 'parts' })).rejects.toThrow(/model_guard_s3_read_key_id/);
    await expect(open({ cdnUrl: 'https://cdn.example' })).rejects.toThrow(/model_guard_cdn_key/);
  });

  it('make the URLs of a lease those of a CDN', async () => {
    const key = 'a key that the edges know as well';
    await writeFile(join(secretsFolder, 'model_guard_cdn_key'), `${key}\n`);
    const server = await startTestServer({ config: { cdnUrl: 'https://cdn.example/models/', secretsFolder } });
    server.secrets.text('the key of the CDN', key);
    try {
      const publisher = new PublisherOf(server);
      await publisher.register();
      const made = await publisher.publish();
      await entitle(server, 'operator');
      const { big } = await takeLease(await Machine.ready(server));
      const expires = server.clock.now + server.config.partUrlSeconds;
      for (const [url, object] of [
        [big.url, made.bigName],
        [big.treeUrl ?? '', `${made.bigName}.tree`],
      ] as const) {
        const path = `/models/big/${object}`;
        const signature = createHmac('sha256', key).update(`${path}\0${expires}`).digest('base64url');
        expect(url).toBe(`https://cdn.example${path}?expires=${expires}&signature=${signature}`);
      }
      const parts = await openParts(server.context);
      expect((await parts.urls.sign(made.bigName)).url).toBe(big.url);
      const other = cdnUrls('https://cdn.example/models', Buffer.from(`${key}.`), server.context);
      expect((await other.sign(made.bigName)).url).not.toBe(big.url);
    } finally {
      await server.close();
    }
  });
});

describe('presigned URLs', () => {
  const validity = { now: 1_700_000_000, seconds: 300 };
  const key = 'models/big/0123-56.tree';
  const pair = { id: 'the id', secret: 'the secret' };
  const place = (more: Partial<Parameters<typeof clientsOf>[0]>) =>
    clientsOf({ endpoint: undefined, region: 'eu-central-1', pathStyle: false, ...more }, { read: pair, write: pair });

  it.each([
    ['at AWS', place({}), 'https://parts.s3.eu-central-1.amazonaws.com/'],
    ['in the path', place({ endpoint: 'https://s3.example:9000', pathStyle: true }), 'https://s3.example:9000/parts/'],
    ['in the host', place({ endpoint: 'http://s3.example' }), 'http://parts.s3.example/'],
    ['below a path', place({ endpoint: 'https://example.com/s3', pathStyle: true }), 'https://example.com/s3/parts/'],
  ])("are those of S3's own client, with the bucket %s", async (_where, clients, base) => {
    const options = { expiresIn: 300, signingDate: new Date(1_700_000_000_000) };
    const presigner = new Presigner(clients, 'read', 'parts');
    const { client } = await clients.for('read');
    // The client adds the operation's name, which no server reads; without it both signatures are the same.
    const get = { method: 'GET', key, query: { 'x-id': 'GetObject' } } as const;
    const ours = new URL(await presigner.sign(get, validity));
    expect(ours.href.startsWith(`${base}${key}?`)).toBe(true);
    expect(parsed(ours)).toEqual(
      parsed(new URL(await getSignedUrl(client, new GetObjectCommand({ Bucket: 'parts', Key: key }), options))),
    );
    const piece = { Bucket: 'parts', Key: key, UploadId: '2~a+b/c=', PartNumber: 7, ContentLength: 5 };
    const query = { partNumber: '7', uploadId: '2~a+b/c=', 'x-id': 'UploadPart' };
    const put = await presigner.sign({ method: 'PUT', key, query, headers: { 'content-length': '5' } }, validity);
    expect(parsed(new URL(put))).toEqual(parsed(new URL(await getSignedUrl(client, new UploadPartCommand(piece), options))));
  });

  const parsed = ({ origin, pathname, searchParams }: URL) => ({
    origin,
    pathname,
    query: Object.fromEntries([...searchParams].sort()),
  });
});
