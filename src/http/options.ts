/** Schemas of the options that everything with a network shares. */
import { z } from 'zod';
import { MAX_PEM, MAX_URL } from '../base/limits.js';
import { text } from '../base/schemas.js';

const MAX_TIMEOUT_MS = 24 * 60 * 60 * 1000;

/** As many as our transport opens to one host. */
export const MAX_CONNECTIONS = 16;

/** The path of a PEM file, or its text. */
const pem = text(MAX_PEM)
  .min(1, 'is empty')
  .refine((given) => !given.includes('\0'), 'holds a NUL character');

/** Checked in full where it is used, without showing it: it may hold a password. */
export const proxy = z.union([z.literal(false), text(MAX_URL).min(1, 'is empty')], {
  error: 'wants the URL of an HTTP proxy, or false',
});

export const tls = z.strictObject({ ca: pem.optional(), cert: pem.optional(), key: pem.optional() });

export const timeoutMs = z.int().min(1).max(MAX_TIMEOUT_MS);
