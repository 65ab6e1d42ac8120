/** Stores parts in a bucket of S3. */
import { parse } from '../../base/validate.js';
import { safeAddress } from '../../http/address.js';
import type { RangedTestHooks } from '../../transfer/ranged.js';
import { ObjectStore } from '../object/store.js';
import type { PartStore } from '../store.js';
import { S3Bucket } from './bucket.js';
import { s3StoreOptions } from './options.js';
import { S3Clients, TIMEOUT_MS } from './sdk.js';
import type { S3StoreOptions } from './types.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const PIECE_BYTES = 8 * 1024 * 1024;

/**
 * A PartStore in a bucket of AWS or of any other S3 server. Needs the package `@aws-sdk/client-s3`, which is fetched at first use.
 * Objects are written whole or not at all. Publishing works with keys that may only write, too.
 *
 * Rights: to load, GetObject. To publish, PutObject, and for `resume` ListMultipartUploadParts and AbortMultipartUpload. `list` and
 * `collect` need ListBucket with the keys to read, `collect` also DeleteObject and ListBucketMultipartUploads with the keys to write.
 * With keys to read that may not list the bucket, a missing part is PERMISSION_DENIED instead of NOT_FOUND.
 *
 * When two programs publish the same version at once, the server decides (`If-None-Match`). Where an endpoint ignores that header,
 * publishing without `overwrite` only looks first, and both can succeed.
 * @throws INVALID_ARGUMENT. Every method: PERMISSION_DENIED · NO_SPACE · SERVER_UNREACHABLE, SERVER_FAILED, RESPONSE_INVALID,
 *   TIMED_OUT, CLOCK_SKEWED · INVALID_ARGUMENT without the package
 * @example
 * const store = s3Store({ bucket: 'models', endpoint: 'https://s3.example.org', credentials: { read, write } });
 */
export function s3Store(options: S3StoreOptions): PartStore {
  return s3StoreWithHooks(options, {});
}

/** {@link s3Store} with hooks for tests. */
export function s3StoreWithHooks(options: S3StoreOptions, hooks: RangedTestHooks): PartStore {
  const given = parse(s3StoreOptions, options);
  if (given.endpoint !== undefined) safeAddress(given.endpoint, 'options.endpoint');
  const { bucket, prefix, pieceBytes = PIECE_BYTES, connections, timeoutMs = TIMEOUT_MS, graceMs = DAY_MS } = given;
  const { pace, timers } = hooks;
  return new ObjectStore(
    new S3Bucket(bucket, new S3Clients({ ...given, timers }), { pace }),
    { prefix: prefix === undefined ? '' : `${prefix.replace(/\/$/, '')}/`, pieceBytes, connections, timeoutMs, graceMs },
    hooks,
  );
}
