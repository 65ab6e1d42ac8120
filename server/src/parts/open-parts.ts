/** Opens the storage of big parts that the configuration names. */
import type { Context } from '../context.js';
import { cdnKey, cdnUrls } from './cdn-url.js';
import { LocalParts } from './local-parts.js';
import { partUrls } from './part-url.js';
import type { Parts } from './parts.js';

/** @throws INVALID_ARGUMENT where a secret is missing */
export async function openParts(context: Pick<Context, 'config' | 'db' | 'keys' | 'log' | 'now'>): Promise<Parts> {
  const { config } = context;
  const cdn = config.cdnUrl === undefined ? undefined : cdnUrls(config.cdnUrl, await cdnKey(config), context);
  if (config.bucket) {
    // S3's client is large, so it is loaded only where it is needed.
    const { S3Parts } = await import('./s3/s3-parts.js');
    return await S3Parts.open(context, config.bucket, cdn);
  }
  return new LocalParts(context, cdn ?? partUrls(context));
}
