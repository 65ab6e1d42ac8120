import { basename } from 'node:path';
import { z } from 'zod';
import { abortable } from './base/abort.js';
import { name, normaliseName } from './base/names.js';
import { copyOf, filePath, MAX_BYTES, parse } from './base/validate.js';
import { type OverwriteOptions, recipients, type SealOptions, type SourceOptions, sealShape } from './engine/options.js';
import { putContainer, type SealedFile, sealing, writeContainer } from './engine/seal.js';
import { collectSource, givenSource, wipe } from './engine/source.js';
import { ModelGuardError } from './errors.js';
import type { Recipient } from './recipients/kinds.js';

const encryptShape = { ...sealShape, recipients, name: name.optional(), version: name.optional(), format: name.optional() };

export const encryptOptions = z.strictObject(encryptShape);

export const encryptFileOptions = z.strictObject({
  ...encryptShape,
  overwrite: z.boolean().optional(),
  followLinks: z.boolean().optional(),
});

/** Options of `encrypt` and `encryptFile`. */
export interface EncryptOptions extends SealOptions {
  /** 1 to 32, each once, at most one passphrase. */
  readonly recipients: readonly Recipient[];
  /** Default: `model` for bytes, the normalised file name for files. */
  readonly name?: string | undefined;
  /** Default: `0`. */
  readonly version?: string | undefined;
  /** As in {@link ProtectOptions}. */
  readonly format?: string | undefined;
}

const DEFAULT = { name: 'model', version: '0' };

/**
 * Encrypts bytes into a container in memory. Large models go by path: `encryptFile`, `protect`.
 * @param bytes 1 byte to just under 4 GiB; copied before the call returns. Not in a SharedArrayBuffer, not resizable.
 * @returns The container: header and payload. The only file in it is called `model`.
 * @throws INVALID_ARGUMENT, NAME_INVALID, KEY_INVALID, KEY_TYPE_WRONG, SOURCE_EMPTY, LIMIT_EXCEEDED, OUT_OF_MEMORY, ABORT_ERR
 * @see docs/format.md
 * @example
 * const container = await encrypt(weights, { recipients: [key], signer, name: 'defects', version: '3' });
 */
export async function encrypt(bytes: Uint8Array, options: EncryptOptions): Promise<Uint8Array> {
  // Recipients may have to be read from files before the engine takes its copy; this one is wiped.
  const plain = copyOf(bytes, 'bytes');
  const { name, version, format = 'unknown', recipients, signer, ...run } = parse(encryptOptions, options);
  if (plain.length === 0) throw new ModelGuardError('SOURCE_EMPTY', 'There are no bytes to encrypt');
  const ref = { name: name ?? DEFAULT.name, version: version ?? DEFAULT.version };
  try {
    return await abortable(run.signal, async () => {
      const inputs = [{ path: 'model', bytes: plain }];
      return await sealing({ ref, format, inputs, recipients, signer }, async (sealer) => {
        const size = sealer.headerLength + sealer.payloadLength;
        if (size > MAX_BYTES)
          throw new ModelGuardError('LIMIT_EXCEEDED', `The container would have ${size} bytes, more than an array holds`, {
            advice: 'Use encryptFile.',
          });
        const container = new Uint8Array(size);
        await putContainer(sealer, run, (offset, piece) => container.set(piece, offset));
        return container;
      });
    });
  } finally {
    plain.fill(0);
  }
}

/**
 * Encrypts a file or a folder into a container file, written whole or not at all. Memory does not grow with the source.
 * @param source Path of a file or a folder, or bytes, as `protect` takes them.
 * @param target Path of the container, conventionally `….mguard`.
 * @throws What `protect` throws; ALREADY_EXISTS unless `overwrite`.
 * @see docs/format.md
 * @example
 * await encryptFile('defects.onnx', 'defects.mguard', { recipients: ['mgd1:…'], signer });
 */
export async function encryptFile(
  source: string | Uint8Array,
  target: string,
  options: EncryptOptions & OverwriteOptions & SourceOptions,
): Promise<SealedFile> {
  const from = givenSource(source);
  const to = parse(filePath, target, 'target');
  const {
    name,
    version,
    format,
    recipients,
    signer,
    followLinks,
    overwrite = false,
    ...run
  } = parse(encryptFileOptions, options);
  const ref = {
    name: name ?? (typeof from === 'string' ? normaliseName(basename(from)) : DEFAULT.name),
    version: version ?? DEFAULT.version,
  };
  const writing = abortable(run.signal, async () => {
    const found = await collectSource(from, { format, followLinks, signal: run.signal });
    return await sealing({ ref, ...found, recipients, signer }, (sealer) =>
      writeContainer(sealer, { ref, file: to, overwrite }, run),
    );
  });
  return await writing.finally(() => wipe(from));
}
