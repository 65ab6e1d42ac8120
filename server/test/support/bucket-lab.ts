/** A server with a bucket of its own for big parts, and publishers that upload to it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RouteAnswer } from '@org/model-guard/server-kit';
import { FakeS3 } from '../../../test/support/fake-s3.js';
import { type Bucket, makeBucket } from '../../../test/support/services.js';
import type { Settings } from '../../src/start/config.js';
import { startTestServer, type TestServer } from './server.js';
import { Publisher, type TestContainer } from './story.js';

export type UploadPlan = RouteAnswer<'beginUpload'>;
export type Pieces = Extract<UploadPlan, { kind: 'pieces' }>;

/** Pieces are as short as S3 takes them. */
export const PIECE = 5 * 1024 * 1024;
/** Three pieces, the last one shorter. */
export const THREE_PIECES = 12_000_000;

export interface BucketLab {
  readonly server: TestServer;
  readonly bucket: Bucket;
  readonly publisher: Publisher;
  /** As another role. */
  as(role: Publisher['role']): Publisher;
  close(): Promise<void>;
}

/** Secrets as files, as a server finds them. */
export async function secretsOf({ read, write }: Pick<Bucket, 'read' | 'write'>, more: Record<string, string> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'guard-secrets-'));
  const secrets = {
    s3_read_key_id: read.id,
    s3_read_secret: read.secret,
    s3_write_key_id: write.id,
    s3_write_secret: write.secret,
  };
  for (const [name, value] of Object.entries({ ...secrets, ...more }))
    await writeFile(join(folder, `model_guard_${name}`), `${value}\n`, { mode: 0o600 });
  return folder;
}

export async function startBucketLab(settings: Partial<Settings> = {}, more: Record<string, string> = {}): Promise<BucketLab> {
  const bucket = await makeBucket();
  const secretsFolder = await secretsOf(bucket, more);
  const place = { s3Bucket: bucket.bucket, s3Endpoint: bucket.endpoint, pieceBytes: PIECE, secretsFolder };
  const server = await startTestServer({ config: { ...place, ...settings } });
  server.secrets
    .text('the secret of the read pair', bucket.read.secret)
    .text('the secret of the write pair', bucket.write.secret);
  const publisher = new Publisher(server);
  await publisher.register();
  return {
    server,
    bucket,
    publisher,
    as: (role) => Object.assign(new Publisher(server, role), { key: publisher.key }),
    async close() {
      const signed = server.lines.filter((line) => line.includes('X-Amz-'));
      await server.close();
      if (signed.length > 0) throw new Error(`the log holds ${signed.length} signed URLs`);
      await bucket.remove();
      await rm(secretsFolder, { recursive: true });
    },
  };
}

/** Id of the reading keys of a fake bucket. */
export const READER = 'reader';
const FAKE_KEYS = { read: { id: READER, secret: 'r'.repeat(40) }, write: { id: 'writer', secret: 'w'.repeat(40) } };

/** The same with a bucket of which tests see and change everything. `hook` answers in its place, where it answers. */
export async function startFakeBucketLab(hook: (s3: FakeS3) => FakeS3['hook'] = () => () => undefined) {
  const s3 = await new FakeS3().listen();
  // A server collects uploads that began more than a day ago, from its start on.
  s3.time = new Date();
  s3.hook = hook(s3);
  const secretsFolder = await secretsOf(FAKE_KEYS);
  const place = { s3Bucket: 'parts', s3Endpoint: s3.endpoint, pieceBytes: PIECE, secretsFolder };
  const server = await startTestServer({ config: place });
  const publisher = new Publisher(server);
  await publisher.register();
  return {
    s3,
    server,
    publisher,
    async close() {
      await server.close();
      s3.close();
      await rm(secretsFolder, { recursive: true });
    },
  };
}

export const begin = ({ server, role }: Publisher, { name, version, bigName, big }: TestContainer, size = big.length) =>
  server.request(role, 'beginUpload', { params: { name, version, part: bigName }, body: { size } });

/** An upload that must begin, or go on, in pieces. */
export async function beginPieces(publisher: Publisher, made: TestContainer): Promise<Pieces> {
  const answer = (await begin(publisher, made)).json() as UploadPlan;
  if (answer.kind !== 'pieces') throw new Error(JSON.stringify(answer));
  return answer;
}

export const urlsOf = ({ server, role }: Publisher, upload: string, numbers: number[]) =>
  server.request(role, 'uploadUrls', { params: { upload }, body: { numbers } });

export const complete = ({ server, role }: Publisher, upload: string) =>
  server.request(role, 'completeUpload', { params: { upload }, body: {} });

export const abort = ({ server, role }: Publisher, upload: string) => server.request(role, 'abortUpload', { params: { upload } });

export const pieceOf = ({ big }: TestContainer, number: number): Uint8Array => big.subarray((number - 1) * PIECE, number * PIECE);

/** Sends pieces to where the server says. */
export async function send(publisher: Publisher, upload: string, made: TestContainer, numbers: number[]): Promise<void> {
  const { urls } = (await urlsOf(publisher, upload, numbers)).json() as RouteAnswer<'uploadUrls'>;
  for (const { number, url } of urls) {
    const { status } = await fetch(url, { method: 'PUT', body: Buffer.from(pieceOf(made, number)) });
    if (status !== 200) throw new Error(`piece ${number}: status ${status}`);
  }
}

export const numbersOf = ({ big }: TestContainer): number[] =>
  Array.from({ length: Math.ceil(big.length / PIECE) }, (_, index) => index + 1);

/** The whole part, for an upload that must succeed. */
export async function upload(publisher: Publisher, made: TestContainer): Promise<string> {
  const { upload: id } = await beginPieces(publisher, made);
  await send(publisher, id, made, numbersOf(made));
  const answer = await complete(publisher, id);
  if (answer.statusCode !== 200) throw new Error(answer.body);
  return id;
}

/** Everything, for a version that must be accepted. */
export async function publish(publisher: Publisher, what: Parameters<Publisher['make']>[0] = {}): Promise<TestContainer> {
  const made = await publisher.make(what);
  await upload(publisher, made);
  const answer = await publisher.commit(made);
  if (answer.statusCode !== 201) throw new Error(answer.body);
  return made;
}
