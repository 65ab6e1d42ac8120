/** The S3 server and PostgreSQL of `npm run test:services`, and a bucket or a database of a test's own there. */
import { randomUUID } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Client } from 'pg';

export interface KeyPair {
  readonly id: string;
  readonly secret: string;
}

export interface S3Service {
  readonly endpoint: string;
  readonly region: string;
  readonly owner: KeyPair;
  readonly read: KeyPair;
  readonly write: KeyPair;
}

export interface Bucket extends S3Service {
  readonly bucket: string;
  /** With everything in it, unfinished uploads included. */
  remove(): Promise<void>;
}

export interface Database {
  readonly url: string;
  /** Also while somebody is connected. */
  drop(): Promise<void>;
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run this test with \`npm run test:services\``);
  return value;
}

export function s3Service(): S3Service {
  const endpoint = variable('MG_TEST_S3');
  const keys = JSON.parse(variable('MG_TEST_S3_KEYS')) as Pick<S3Service, 'owner' | 'read' | 'write'>;
  return { endpoint, region: 'us-east-1', ...keys };
}

/** The URL of the database `postgres`, as superuser. */
export const postgresService = (): string => variable('MG_TEST_POSTGRES');

/** A client that sends and asks for no checksums of AWS's own, as other servers need it; by default for the service itself. */
export function s3Client({ endpoint, region }: Pick<S3Service, 'endpoint' | 'region'>, { id, secret }: KeyPair): S3Client {
  return new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId: id, secretAccessKey: secret },
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

const OBJECTS_OF_WRITE = ['PutObject', 'AbortMultipartUpload', 'ListMultipartUploadParts', 'DeleteObject'];

/** `read` gets objects and no more; `write` puts and deletes them, and sees to its multipart uploads. */
function policy(bucket: string): string {
  const say = (Effect: 'Allow' | 'Deny', user: string, resource: string, actions: readonly string[]): object => ({
    Effect,
    Principal: { AWS: [`arn:aws:iam:::user/${user}`] },
    Action: actions.map((action) => `s3:${action}`),
    Resource: [`arn:aws:s3:::${bucket}${resource}`],
  });
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      say('Allow', 'read', '/*', ['GetObject']),
      say('Allow', 'write', '/*', OBJECTS_OF_WRITE),
      say('Allow', 'write', '', ['ListBucketMultipartUploads']),
      // Here whoever puts an object owns it, and may read it unless told otherwise.
      say('Deny', 'write', '/*', ['GetObject']),
    ],
  });
}

/** A new bucket that the pairs `read` and `write` have their rights in. */
export async function makeBucket(): Promise<Bucket> {
  const service = s3Service();
  const bucket = `test-${randomUUID()}`;
  const client = s3Client(service, service.owner);
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: policy(bucket) }));
  return {
    ...service,
    bucket,
    remove: async () => {
      await emptied(client, bucket);
      await client.send(new DeleteBucketCommand({ Bucket: bucket }));
      client.destroy();
    },
  };
}

async function emptied(client: S3Client, bucket: string): Promise<void> {
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  for (const { Key, UploadId } of Uploads) await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }));
  for (;;) {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
    if (Contents.length === 0) return;
    for (const { Key } of Contents) await client.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
  }
}

export async function makeDatabase(): Promise<Database> {
  const service = postgresService();
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await asSuperuser(service, `CREATE DATABASE ${name}`);
  const url = new URL(service);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => asSuperuser(service, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

async function asSuperuser(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
