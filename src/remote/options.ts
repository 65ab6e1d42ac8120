/** Checks the options of the client. */
import { z } from 'zod';
import { MAX_URL } from '../base/limits.js';
import { name } from '../base/names.js';
import { record, text } from '../base/schemas.js';
import { filePath, opaque, signal } from '../base/validate.js';
import { ONE_ORIGIN, oneOrigin } from '../engine/options.js';
import { proxy, tls } from '../http/options.js';
import type { DeviceKey } from '../keys/secret.js';
import { verifier } from '../keys/verifiers.js';
import { run } from '../native/work.js';
import type * as T from './types.js';

const MAX_TIMEOUT_MS = 24 * 60 * 60 * 1000;
const credentialsShape = z.union([
  z.custom<() => unknown>((value) => typeof value === 'function'),
  z.strictObject({ file: filePath }),
  z.strictObject({ env: z.strictObject({ email: filePath, password: filePath }) }),
]);
export const guardServerOptions = z.strictObject({
  url: text(MAX_URL).min(1, 'is empty'),
  serverKey: opaque<T.GuardServerOptions['serverKey']>(),
  credentials: z
    .custom<T.CredentialsSource>(
      (value) => credentialsShape.safeParse(value).success,
      'wants a callback, { file }, or { env: { email, password } } with names of variables',
    )
    .optional(),
  device: opaque<DeviceKey>().optional(),
  publishers: opaque<NonNullable<T.GuardServerOptions['publishers']>>().optional(),
  state: filePath.optional(),
  tls: tls.optional(),
  proxy: proxy.optional(),
  timeoutMs: z.int().min(1).max(MAX_TIMEOUT_MS).optional(),
  patienceMs: z.int().min(0).max(MAX_TIMEOUT_MS).optional(),
  rollback: z.literal('accept').optional(),
});
export const fingerprintText = text(100);
export const enrolName = text(200).min(1, 'is empty');
const MAX_MODELS = 100_000;
export const publishersByName = record(name, verifier, MAX_MODELS);
export const registerArchiveOptions = z.strictObject({
  name: name.optional(),
  key: opaque<T.RegisterArchiveOptions['key']>(),
  signal: signal.optional(),
  onProgress: run.onProgress,
});
export const unlockShape = {
  name: name.optional(),
  verifier: verifier.optional(),
  unsigned: z.literal('accept').optional(),
  onState: z.custom<(state: T.UnlockState) => void>((value) => typeof value === 'function', 'wants a function').optional(),
  signal: signal.optional(),
  onProgress: run.onProgress,
};
export const unlockOptions = z.strictObject(unlockShape).refine(oneOrigin, ONE_ORIGIN);
