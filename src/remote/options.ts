/** What callers of the client give, checked. */
import { z } from 'zod';
import { record, text } from '../bounded.js';
import type { DeviceKey } from '../keys/index.js';
import { MAX_URL } from '../limits.js';
import { filePath, has, name, ONE_ORIGIN, oneOrigin, opaque, proxy, run, signal, tls, verifier } from '../options.js';
import type { GuardServer } from './guard-server.js';
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
export const guardServerOf = has<GuardServer>('a guard server', 'unlock', 'enroll');
export const registerArchiveOptions = z.strictObject({
  name: name.optional(),
  key: opaque<T.RegisterArchiveOptions['key']>(),
  signal: signal.optional(),
  onProgress: run.onProgress,
});
const unlockShape = {
  name: name.optional(),
  verifier: verifier.optional(),
  unsigned: z.literal('accept').optional(),
  onState: z.custom<(state: T.UnlockState) => void>((value) => typeof value === 'function', 'wants a function').optional(),
  signal: signal.optional(),
  onProgress: run.onProgress,
};
export const unlockOptions = z.strictObject(unlockShape).refine(oneOrigin, ONE_ORIGIN);
export const unlockFromOptions = z.strictObject({ ...unlockShape, from: guardServerOf }).refine(oneOrigin, ONE_ORIGIN);
