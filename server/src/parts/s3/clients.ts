/** Makes the clients of a bucket: one for each pair of keys. */
import { type S3ClientSettings, S3Clients } from '@org/model-guard/server-kit';
import type { BucketConfig } from '../../base/config.js';
import type { KeyPair, KeyPairs } from './credentials.js';

const CONNECT_MS = 5_000;
/** Milliseconds that the bucket may be silent. */
const TIMEOUT_MS = 30_000;

const keysOf = ({ id, secret }: KeyPair) => ({ accessKeyId: id, secretAccessKey: secret });

/** Nothing of this machine's AWS settings, credentials or proxies counts. */
export function clientsOf(
  { endpoint, region, pathStyle }: Pick<BucketConfig, 'endpoint' | 'region' | 'pathStyle'>,
  { read, write }: KeyPairs,
  { timers }: Pick<S3ClientSettings, 'timers'> = {},
): S3Clients {
  return new S3Clients({
    endpoint,
    region,
    forcePathStyle: pathStyle,
    credentials: { read: keysOf(read), write: keysOf(write) },
    isolated: true,
    proxy: false,
    connectMs: CONNECT_MS,
    timeoutMs: TIMEOUT_MS,
    timers,
  });
}
