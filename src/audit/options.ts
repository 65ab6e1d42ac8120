/** Checks the options of `verifyAuditLog`. */
import { isUint8Array } from 'node:util/types';
import { z } from 'zod';
import { filePath, opaque, signal } from '../base/validate.js';
import * as shapes from '../contract/shapes.js';
import type { VerifyingKey } from '../keys/public.js';
import { run } from '../native/work.js';
import type { AuditLogSource } from './types.js';

export const auditCheckpoint = shapes.checkpoint;
export const auditLogSource = z.custom<AuditLogSource>(
  (value) =>
    isUint8Array(value) ||
    filePath.safeParse(value).success ||
    (typeof value === 'object' && value !== null && Symbol.asyncIterator in value),
  'wants a path, bytes, or an AsyncIterable of pieces',
);
export const verifyAuditLogOptions = z.strictObject({
  checkpoint: z.union([filePath, auditCheckpoint], { error: 'wants a checkpoint, or the path of one' }),
  key: opaque<VerifyingKey | string>(),
  signal: signal.optional(),
  onProgress: run.onProgress,
});
