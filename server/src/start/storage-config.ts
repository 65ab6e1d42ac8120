/** Settings of the storage for big parts, and the checks that production adds. */
import { countOf, isLoopback, text } from '@org/model-guard/server-kit';
import type { z } from 'zod';
import type { BucketConfig, Config } from '../base/config.js';
import { flag, httpUrl, refused } from '../base/setting-schemas.js';

const MIB = 1024 * 1024;
const DEFAULT_PIECE = 8 * MIB;
/** Limits of S3 for one piece of several. */
const SMALLEST_PIECE = 5 * MIB;
const LARGEST_PIECE = 5 * 1024 * MIB;

export const storageSettings = {
  s3Bucket: text(63)
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'is not the name of a bucket')
    .optional(),
  s3Endpoint: httpUrl.optional(),
  s3PublicEndpoint: httpUrl.optional(),
  s3Region: text(64)
    .regex(/^[a-z0-9-]{1,64}$/, 'is not a region')
    .optional(),
  s3Prefix: text(520)
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(\/[A-Za-z0-9][A-Za-z0-9._-]{0,63}){0,7}\/?$/,
      'is not a prefix: names with / between them',
    )
    .optional(),
  s3PathStyle: flag.optional(),
  pieceBytes: countOf(SMALLEST_PIECE, LARGEST_PIECE).default(DEFAULT_PIECE),
  cdnUrl: httpUrl.optional(),
};
type Given = z.output<z.ZodObject<typeof storageSettings>>;

/** @throws INVALID_ARGUMENT */
export function storageOf(given: Given, production: boolean): Pick<Config, 'bucket' | 'cdnUrl'> {
  const { s3Bucket, s3Endpoint, s3PublicEndpoint, s3Region, s3Prefix, s3PathStyle, pieceBytes, cdnUrl } = given;
  const urls = { '--s3-endpoint': s3Endpoint, '--s3-public-endpoint': s3PublicEndpoint, '--cdn-url': cdnUrl };
  if (production) for (const [option, url] of Object.entries(urls)) refusePlain(option, url);
  if (s3Bucket === undefined) {
    for (const option of ['s3Endpoint', 's3PublicEndpoint', 's3Region', 's3Prefix', 's3PathStyle'] as const)
      if (given[option] !== undefined) throw refused(`The setting ${option} needs --s3-bucket`);
    return { cdnUrl };
  }
  const bucket: BucketConfig = {
    name: s3Bucket,
    endpoint: s3Endpoint,
    publicEndpoint: s3PublicEndpoint,
    region: s3Region ?? 'us-east-1',
    prefix: s3Prefix === undefined ? '' : `${s3Prefix.replace(/\/$/, '')}/`,
    pathStyle: s3PathStyle ?? s3Endpoint !== undefined,
    pieceBytes,
  };
  return { bucket, cdnUrl };
}

function refusePlain(option: string, url: string | undefined): void {
  if (url === undefined) return;
  const { protocol, hostname } = new URL(url);
  if (protocol === 'https:' || isLoopback(hostname)) return;
  throw refused(`NODE_ENV=production sends nothing over plain HTTP: ${option} must begin with https://`);
}
