import { createHash } from 'node:crypto';
import { abortable } from './abort.js';
import { ModelGuardError } from './errors.js';
import { refuseExisting } from './files.js';
import { failed, nativeArtifact } from './legacy/artifact.js';
import { pieces } from './legacy/decrypt.js';
import { legacyHandle } from './legacy/key.js';
import { formatOf } from './names.js';
import type { KeyHandle, NativeArtifact } from './native/binding.js';
import { call } from './native/index.js';
import { type RunOptions, stepwise } from './native/work.js';
import { copyOf, legacySource, migrateOptions, parse } from './options.js';
import { recipientsOf } from './protect.js';
import { publish, sealing, writeContainer } from './seal.js';
import { apart } from './stores/parts.js';
import { refusePublished } from './stores/published.js';
import type {
  LegacySource,
  MigratedSource,
  MigrateToFileOptions,
  MigrateToStoreOptions,
  ProtectedModel,
  SealedFile,
} from './types.js';

/**
 * Turns an artifact of the legacy profile into a container, in one pass and in little memory: its plaintext goes from one cipher to the
 * other and is never written. The container is authenticated from then on; **the artifact was not**, so give `plaintextSha256` wherever
 * a digest is known.
 *
 * @param artifact Bytes, the path of a file, or `{ small, big }` with a path each.
 * @returns What was published (`to`) or written (`out`), and whether the source was checked.
 * @throws LEGACY_FAILED if the artifact does not decrypt or its plaintext is another one · SOURCE_EMPTY, SOURCE_CHANGED · with `to` what
 *   `protect` throws, with `out` what `encryptFile` throws. After any of them what was there before still is, unless
 *   `outcome` says that it is unknown.
 * @see docs/legacy.md
 * @example
 * const key = await LegacyKey.fromKeyString({ file: 'defects.keystring' });
 * await migrate('defects.enc', {
 *   key, plaintextSha256: '9f86d0…', name: 'defects', version: '3', fileName: 'defects.onnx', recipients: ['mgd1:…'], signer,
 *   to: fileStore('/srv/models'),
 * });
 */
export async function migrate(artifact: LegacySource, options: MigrateToStoreOptions): Promise<ProtectedModel & MigratedSource>;
export async function migrate(artifact: LegacySource, options: MigrateToFileOptions): Promise<SealedFile & MigratedSource>;
export async function migrate(
  artifact: LegacySource,
  options: MigrateToStoreOptions | MigrateToFileOptions,
): Promise<(ProtectedModel | SealedFile) & MigratedSource> {
  const from = parse(legacySource, artifact, 'artifact');
  const { key, name, version, fileName = 'model', to, out, split, overwrite = false, ...rest } = parse(migrateOptions, options);
  const { format = formatOf(fileName), plaintextSha256, recipients: given, signer, ...run } = rest;
  const source = typeof from === 'string' || 'small' in from ? nativeArtifact(from) : { bytes: copyOf(from, 'artifact') };
  const handle = legacyHandle(key);
  call((native) => native.checkPath(fileName));
  const ref = { name, version };
  const file = out as string; // unless there is `to`
  return await abortable(run.signal, async () => {
    const recipients = given ?? (to ? await recipientsOf(apart(to).small, ref, run) : []);
    if (!overwrite) await (to ? refusePublished(apart(to).small, ref, run) : refuseExisting(file));
    const inputs = [{ path: fileName, legacy: { artifact: source, key: handle } }];
    return await sealing({ ref, format, inputs, recipients, signer }, async (sealer) => {
      // After sealing began: it notes what the artifact is, and refuses in the end what changed since.
      await checkPlaintext(source, handle, plaintextSha256, run);
      const made = to
        ? await publish(sealer, { ref, to, split, overwrite }, run)
        : await writeContainer(sealer, { ref, file, overwrite }, run);
      return { ...made, source: plaintextSha256 === undefined ? 'unauthenticated' : 'checked' };
    });
  });
}

async function checkPlaintext(
  artifact: NativeArtifact,
  key: KeyHandle,
  sha256: string | undefined,
  run: RunOptions,
): Promise<void> {
  const reader = await call((native) => native.legacyOpen(artifact, key));
  try {
    if (reader.size === 0) throw new ModelGuardError('SOURCE_EMPTY', 'The artifact holds an empty file');
    if (sha256 === undefined) return;
    const hash = createHash('sha256');
    await stepwise('verify', reader.size, run, async (advance) => {
      for await (const piece of pieces(reader)) {
        hash.update(piece);
        piece.fill(0);
        advance(piece.length);
      }
    });
    if (hash.digest('hex') !== sha256.toLowerCase()) throw failed();
  } finally {
    reader.close();
  }
}
