/** A server that errs, stores in it, and the parts that go there. */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll } from 'vitest';
import type { BigPartSource, PartStore, S3StoreOptions } from '../../src/index.js';
import { s3StoreWithHooks } from '../../src/stores/s3/store.js';
import { NotedPace } from './fake-client.js';
import { FakeS3, type S3Asked } from './fake-s3.js';

export const MIB = 2 ** 20;
/** The least that S3 takes. */
export const PIECE = 5 * MIB;
export const SECRET = 'a secret of nobody';
export const keys = (id = 'owner') => ({ accessKeyId: id, secretAccessKey: SECRET });
export const ref = { name: 'net', version: '1' };
export const name = `${'0'.repeat(32)}-56`;
export const big = `big/${name}`;
/** Of a big part: three pieces and a rest. */
export const bytes = randomBytes(3 * PIECE + 1000);

export const part = (more: Partial<BigPartSource> = {}, of: Uint8Array = bytes): BigPartSource => ({
  size: of.length,
  async *stream(offset = 0) {
    for (let at = offset; at < of.length; at += 700_000) yield of.subarray(at, at + 700_000);
  },
  tree: () => of.subarray(0, 64),
  ...more,
});

export const puts = ({ method }: S3Asked): boolean => method === 'PUT';

export interface S3Lab {
  readonly server: FakeS3;
  readonly storeWith: (more?: Partial<S3StoreOptions>) => PartStore;
  /** Errs so many times for what `which` picks. */
  readonly times: (count: number, which: (asked: S3Asked) => boolean, reply: FakeS3['hook']) => void;
}

/** One server for a test file, empty for each test. */
export function s3Lab(): S3Lab {
  const server = new FakeS3();
  beforeAll(() => server.listen());
  afterAll(() => server.close());
  afterEach(() => server.reset());
  return {
    server,
    storeWith: (more = {}) =>
      s3StoreWithHooks(
        { bucket: 'models', endpoint: server.endpoint, credentials: keys(), pieceBytes: PIECE, ...more },
        { pace: new NotedPace() },
      ),
    times: (count, which, reply) => {
      let left = count;
      server.hook = (asked, response) => (which(asked) && left-- > 0 ? reply(asked, response) : undefined);
    },
  };
}
