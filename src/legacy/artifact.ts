/** Artifacts as callers name them → as the addon takes them. */
import { stat } from 'node:fs/promises';
import { ModelGuardError } from '../errors.js';
import { withFileErrors } from '../files/files.js';
import type { NativeArtifact } from '../native/binding.js';
import type { LegacyFiles } from './types.js';

/** The parts of the scheme (docs/legacy.md). */
const IV = 16;
const BLOCK = 16;

export const nativeArtifact = (files: LegacyFiles): NativeArtifact =>
  typeof files === 'string' ? { file: files } : { parts: files };

/** Bytes of ciphertext, at most 16 more than of plaintext: what progress is measured against. */
export async function ciphertextSize(files: LegacyFiles): Promise<number> {
  let size = -IV;
  for (const path of typeof files === 'string' ? [files] : [files.small, files.big])
    size += (await withFileErrors('Cannot open', path, () => stat(path))).size;
  return Math.max(size, 0);
}

/** Bytes of the artifact of `plain` bytes: IV, and the plaintext padded to the next whole block. */
export const artifactSize = (plain: number): number => IV + plain - (plain % BLOCK) + BLOCK;

/** Every failure that is detected is this one, in the addon's words: nothing says what it was that did not fit. */
export const failed = (): ModelGuardError => new ModelGuardError('LEGACY_FAILED', 'the artifact does not decrypt with this key');

/** No artifact has another length than IV and whole blocks, at least one. */
export function checkSize(size: number): void {
  if (size < IV + BLOCK || size % BLOCK !== 0) throw failed();
}
