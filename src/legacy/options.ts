/** The zod schemas of `@org/model-guard/legacy`. */
import { z } from 'zod';
import { text } from '../bounded.js';
import { bytes, filePath, opaque, partFiles, run, signal } from '../options.js';
import type { LegacyKey } from './key.js';

const key = opaque<LegacyKey>();
const overwrite = z.boolean().optional();

/** Of a key string, a password or a fingerprint; the addon takes no more. */
const MAX_TEXT = 65_536;
const SOURCES = 'wants exactly one of file, env, bytes, text';
export const legacyText = z
  .strictObject({ file: filePath.optional(), env: filePath.optional(), bytes: bytes.optional(), text: text(MAX_TEXT).optional() })
  .refine((source) => Object.values(source).filter((value) => value !== undefined).length === 1, SOURCES);

const derivation = { salts: filePath.optional(), encoding: z.enum(['base64', 'hex']).optional() };
export const derivationOptions = z.strictObject(derivation).optional();
export const hardwareHashOptions = z.strictObject({ ...derivation, fingerprint: legacyText.optional() }).optional();
export const downloadKeyOptions = z.strictObject({ ...derivation, email: legacyText, password: legacyText, hardwareHash: key });

export const legacyKeyOptions = z.strictObject({ key });
export const legacyEncryptFileOptions = z.strictObject({ ...run, key, overwrite });
export const legacyDecryptOptions = z.strictObject({ ...run, key });
export const legacyStreamOptions = z.strictObject({ key, signal: signal.optional() });

const ratio = z.union([z.literal(0.2), z.literal(0.3)], { error: 'wants 0.2 or 0.3' }).optional();
export const legacySplitRule = z.strictObject({ ratio }).optional();
export const legacyCopyOptions = z.strictObject({ overwrite, signal: signal.optional() }).optional();
export const legacySplitFileOptions = z.strictObject({ ratio, overwrite, signal: signal.optional() }).optional();

export const legacyFiles = z.union([filePath, partFiles], { error: 'wants a path, or { small, big } with a path each' });
