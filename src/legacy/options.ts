/** The zod schemas of the functions of `@org/model-guard/legacy`. */
import { z } from 'zod';
import { filePath, opaque, signal } from '../base/validate.js';
import { partFiles } from '../engine/options.js';
import { run } from '../native/work.js';
import type { LegacyKey } from './key.js';

const key = opaque<LegacyKey>();

const overwrite = z.boolean().optional();

export const legacyKeyOptions = z.strictObject({ key });

export const legacyEncryptFileOptions = z.strictObject({ ...run, key, overwrite });

export const legacyDecryptOptions = z.strictObject({ ...run, key });

export const legacyStreamOptions = z.strictObject({ key, signal: signal.optional() });

const ratio = z.union([z.literal(0.2), z.literal(0.3)], { error: 'wants 0.2 or 0.3' }).optional();

export const legacySplitRule = z.strictObject({ ratio }).optional();

export const legacyCopyOptions = z.strictObject({ overwrite, signal: signal.optional() }).optional();

export const legacySplitFileOptions = z.strictObject({ ratio, overwrite, signal: signal.optional() }).optional();

export const legacyFiles = z.union([filePath, partFiles], { error: 'wants a path, or { small, big } with a path each' });
