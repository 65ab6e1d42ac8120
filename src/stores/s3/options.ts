/** Checks the options of `s3Store`. */
import { isDate } from 'node:util/types';
import { z } from 'zod';
import { MAX_URL } from '../../base/limits.js';
import { matching, text } from '../../base/schemas.js';
import { MAX_CONNECTIONS, proxy, timeoutMs, tls } from '../../http/options.js';
import type { S3KeyPairs, S3KeySource, S3Keys } from './types.js';

/** The least and most bytes of a piece of an upload to S3; the last one may be shorter. */
const MIN_PIECE = 5 * 1024 * 1024;
const MAX_PIECE = 1024 * 1024 * 1024;

const s3Keys = z.strictObject({
  accessKeyId: text(256).min(1, 'is empty'),
  secretAccessKey: text(1024).min(1, 'is empty'),
  sessionToken: text(16_384).min(1, 'is empty').optional(),
  expiration: z.custom<Date>((value) => isDate(value) && !Number.isNaN(value.getTime()), 'wants a Date').optional(),
}) satisfies z.ZodType<S3Keys>;

/** Errors about keys do not show them. */
const s3KeySource = z.custom<S3KeySource>(
  (value) => typeof value === 'function' || s3Keys.safeParse(value).success,
  'wants { accessKeyId, secretAccessKey, sessionToken? } or a callback that gives them',
);

const s3KeyPairs = z
  .strictObject({ read: s3KeySource.optional(), write: s3KeySource.optional() })
  .refine(
    ({ read, write }) => read !== undefined || write !== undefined,
    'has neither read nor write',
  ) satisfies z.ZodType<S3KeyPairs>;

export const s3StoreOptions = z.strictObject({
  bucket: matching(255, /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/, 'the name of a bucket'),
  prefix: text(1024)
    .regex(/^(?!\.{1,2}(\/|$))[\w.-]+(\/(?!\.{1,2}(\/|$))[\w.-]+)*\/?$/, 'is not folders of letters, digits, ".", "_" and "-"')
    .optional(),
  region: matching(64, /^[A-Za-z0-9-]{1,64}$/, 'a region').optional(),
  endpoint: text(MAX_URL).min(1, 'is empty').optional(),
  forcePathStyle: z.boolean().optional(),
  credentials: z
    .union([s3KeySource, s3KeyPairs], { error: 'wants keys, a callback that gives them, or { read, write } with such for each' })
    .optional(),
  pieceBytes: z.int().min(MIN_PIECE).max(MAX_PIECE).optional(),
  connections: z.int().min(1).max(MAX_CONNECTIONS).optional(),
  timeoutMs: timeoutMs.optional(),
  graceMs: z.number().min(0).optional(),
  tls: tls.optional(),
  proxy: proxy.optional(),
});
