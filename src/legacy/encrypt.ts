import { stat } from 'node:fs/promises';
import { abortable } from '../base/abort.js';
import { filePath, MAX_BYTES, parse, stableBytes } from '../base/validate.js';
import { ModelGuardError } from '../errors.js';
import { commit, openRegular, syncFile, withFileErrors } from '../files/files.js';
import { call } from '../native/index.js';
import { work } from '../native/work.js';
import { artifactSize } from './artifact.js';
import { legacyHandle } from './key.js';
import { legacyEncryptFileOptions, legacyKeyOptions } from './options.js';
import type { LegacyEncryptFileOptions, LegacyKeyOptions } from './types.js';

/**
 * Encrypts bytes as the sources' scheme does: IV(16) ‖ AES-256-CBC with PKCS7, a fresh random IV. **Nothing is authenticated**: a person who
 * can change the artifact can change the model. For anything new use `encrypt` of the main entry.
 * @param bytes 0 bytes to just under 4 GiB; copied before the call returns. Not in a SharedArrayBuffer, not resizable.
 * @returns The artifact, 17 to 32 bytes longer.
 * @throws INVALID_ARGUMENT, KEY_TYPE_WRONG, LIMIT_EXCEEDED, OUT_OF_MEMORY
 * @see docs/legacy.md
 * @example
 * const artifact = await encrypt(weights, { key: await LegacyKey.forResource() });
 */
export async function encrypt(bytes: Uint8Array, options: LegacyKeyOptions): Promise<Uint8Array> {
  const plain = parse(stableBytes, bytes, 'bytes');
  const key = legacyHandle(parse(legacyKeyOptions, options).key);
  if (artifactSize(plain.length) > MAX_BYTES)
    throw new ModelGuardError(
      'LIMIT_EXCEEDED',
      `The artifact would have ${artifactSize(plain.length)} bytes, more than an array holds`,
      { advice: 'Use encryptFile.' },
    );
  return await call((native) => native.legacyEncrypt(plain, key));
}

/**
 * Encrypts a file of any size, in little memory, into an artifact that is written whole or not at all (0600).
 * @param source Path of a file.
 * @param target Path of the artifact.
 * @throws What {@link encrypt} throws; NOT_FOUND, PERMISSION_DENIED, SOURCE_UNSUPPORTED, SOURCE_CHANGED · ALREADY_EXISTS unless
 *   `overwrite`, READ_ONLY, NO_SPACE, IO_FAILED · ABORT_ERR
 * @see docs/legacy.md
 * @example
 * await encryptFile('defects.onnx', 'defects.enc', { key });
 */
export async function encryptFile(
  source: string,
  target: string,
  options: LegacyEncryptFileOptions,
): Promise<{ readonly bytes: number }> {
  const from = parse(filePath, source, 'source');
  const to = parse(filePath, target, 'target');
  const { key, overwrite = false, ...run } = parse(legacyEncryptFileOptions, options);
  const handle = legacyHandle(key);
  return await abortable(run.signal, async () => {
    const file = await openRegular(from);
    await file.handle.close();
    let bytes = 0;
    await commit(to, { overwrite }, async (temporary) => {
      await work('encrypt', file.size, run, (running, native) => native.legacyEncryptToFile(from, temporary, handle, running));
      await syncFile(temporary);
      bytes = (await withFileErrors('Cannot look up', to, () => stat(temporary))).size;
    });
    return { bytes };
  });
}
