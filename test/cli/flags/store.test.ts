/** Stores that are no folders. If these fail, an address becomes a folder of that name, and a model that was «published» is nowhere. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { modelGuard, succeed } from '../../support/cli.js';
import { FakeS3 } from '../../support/fake-s3.js';
import { type StaticServer, startStaticServer } from '../../support/static-server.js';
import { temporaryFolder } from '../../support/temp.js';

const base = temporaryFolder('stores');
const at = (name: string): string => path.join(base, name);
const plain = Buffer.alloc(50_000, 'model');
const before = process.cwd();
let web: StaticServer;

beforeAll(async () => {
  // An address that were a folder after all would appear here.
  process.chdir(base);
  writeFileSync(at('net.onnx'), plain);
  await succeed('keygen', '--out', at('master.key'));
  await publish('1', '--store', at('store'));
  web = await startStaticServer(at('store'));
});
afterEach(() => {
  vi.unstubAllEnvs();
});
afterAll(async () => {
  process.chdir(before);
  await web.close();
});

const publishing = (version: string) => [...['protect', at('net.onnx'), `net@${version}`], ...['--recipient', at('master.key')]];
const publish = (version: string, ...store: string[]) => succeed(...publishing(version), ...store);
const loading = (...store: string[]) => [
  ...['load', 'net@1', '--identity', at('master.key'), '--unsigned', 'accept', '--out', '-', '--no-cache'],
  ...store,
];

describe('a store behind a web server', () => {
  it('is loaded from, for both parts and for big ones alone', async () => {
    for (const store of [
      ['--store', web.url],
      ['--small-store', at('store'), '--big-store', `${web.url}/`],
    ])
      expect(Buffer.compare((await succeed(...loading(...store))).bytes, plain)).toBe(0);
  });

  it('is not written to, and that is said before any work', async () => {
    const { code, stderr } = await modelGuard(...publishing('2'), '--store', web.url);
    expect([code, stderr]).toEqual([
      6,
      'model-guard: --store: a web server is only read. Give the folder or the bucket (s3://…) that it serves. [READ_ONLY]\n',
    ]);
  });
});

describe('a bucket', () => {
  it.each([
    ['flags', (url: string) => ['--s3-endpoint', url, '--s3-region', 'eu-north-1'], () => undefined],
    ['the environment', () => [], (url: string) => vi.stubEnv('AWS_ENDPOINT_URL_S3', url)],
  ])('is published to and loaded from, named by %s', async (_, flags, environment) => {
    const s3 = await new FakeS3().listen();
    try {
      vi.stubEnv('AWS_ACCESS_KEY_ID', 'reader');
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret of the reader');
      vi.stubEnv('AWS_ENDPOINT_URL', '');
      environment(s3.endpoint);
      const store = ['--store', 's3://models/factory/line-4', ...flags(s3.endpoint)];
      await publish('1', ...store);
      expect([...s3.objects.keys()]).toContain('factory/line-4/small/net/1');
      expect(Buffer.compare((await succeed(...loading(...store))).bytes, plain)).toBe(0);
    } finally {
      s3.close();
    }
  });
});

describe('an address', () => {
  it.each([
    ['s3:/models/x', '--store s3:/models/x: a bucket is written s3://bucket or s3://bucket/prefix.'],
    ['s3:models', '--store s3:models: a bucket is written s3://bucket or s3://bucket/prefix.'],
    ['s3://', '--store s3://: a bucket is written s3://bucket or s3://bucket/prefix.'],
    ['s3://models/../x', '--store: the prefix is not folders of letters, digits, ".", "_" and "-".'],
    ['S3://m', '--store: the bucket is not the name of a bucket.'],
    ['gs://models', '--store: gs: is no kind of store; give a folder (./gs:… for one of that name), s3://… or https://….'],
    ['ftp://h/models', '--store: ftp: is no kind of store; give a folder (./ftp:… for one of that name), s3://… or https://….'],
    [
      'file:///srv/models',
      '--store: file: is no kind of store; give a folder (./file:… for one of that name), s3://… or https://….',
    ],
    ['https:models', '--store: an address is written https://host/path.'],
    ['http://models.example.org/x', '--store: is http:// to another machine; only https:// leaves this one.'],
    ['https://user:hunter2@models.example.org/', '--store: must not hold a user or a password.'],
  ])('%s is refused as a store, and no folder appears', async (place, message) => {
    const folders = readdirSync(base);
    const { code, stderr } = await modelGuard(...loading('--store', place));
    expect([code, stderr]).toEqual([2, expect.stringContaining(`model-guard: ${message}`)]);
    expect(stderr).not.toContain('hunter2');
    expect(readdirSync(base)).toEqual(folders);
  });

  it.each([
    ['PATH', ['protect', 's3://models/x', 'n@1', '--store', 'x']],
    ['IN', ['encrypt', 'https://example.org/x', 'out']],
    ['OUT', ['encrypt', 'net.onnx', 's3://models/out']],
    ['--out', ['fingerprint', '--out', 'https://example.org/machine.json']],
    ['--cache-folder', ['cache', 'list', '--cache-folder', 's3://models/cache']],
    ['--resume', [...publishing('2'), '--store', at('store'), '--resume', 's3://models/x']],
  ])('is refused where a file or folder is meant: %s', async (flag, args) => {
    const folders = readdirSync(base);
    const { code, stderr } = await modelGuard(...args);
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining(`model-guard: ${flag}: is an address; a path on this machine is wanted.`),
    ]);
    expect(readdirSync(base)).toEqual(folders);
  });

  it('may be the name of a folder, where a path says so', async () => {
    await publish('1', '--store', './s3:models');
    expect(readFileSync(at('s3:models/small/net/1')).length).toBeGreaterThan(0);
  });
});
