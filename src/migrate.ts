import { z } from 'zod';
import { abortable } from './base/abort.js';
import { hex } from './base/bytes.js';
import { formatOf, name } from './base/names.js';
import { matching } from './base/schemas.js';
import { bytes, copyOf, filePath, opaque, parse } from './base/validate.js';
import { type PartFiles, partFiles, type SealOptions, type SplitRule, sealShape, splitRule } from './engine/options.js';
import { type ProtectedModel, publish, type SealedFile, sealing, writeContainer } from './engine/seal.js';
import { recipientsOf } from './engine/store-defaults.js';
import { ModelGuardError } from './errors.js';
import { refuseExisting } from './files/files.js';
import { failed, nativeArtifact } from './legacy/artifact.js';
import { type LegacyKey, legacyHandle } from './legacy/key.js';
import type { KeyHandle, NativeArtifact } from './native/binding.js';
import { call } from './native/index.js';
import { type RunOptions, work } from './native/work.js';
import type { Recipient } from './recipients/kinds.js';
import { stores } from './stores/options.js';
import { splitStores } from './stores/parts.js';
import { refusePublished } from './stores/published.js';
import type { Stores } from './stores/store.js';

const digest = matching(64, /^[0-9a-f]{64}$/i, '64 hex digits');

export const legacySource = z.union([bytes, filePath, partFiles], {
  error: 'wants bytes, a path, or { small, big } with a path each',
});

export const migrateOptions = z
  .strictObject({
    ...sealShape,
    key: opaque<LegacyKey>(),
    name,
    version: name,
    fileName: filePath.optional(),
    format: name.optional(),
    to: stores.optional(),
    out: filePath.optional(),
    split: splitRule.optional(),
    overwrite: z.boolean().optional(),
    plaintextSha256: digest.optional(),
  })
  .refine(({ to, out }) => (to === undefined) !== (out === undefined), 'wants exactly one of to, out')
  .refine(({ out, recipients }) => out === undefined || recipients !== undefined, 'recipients are required with out')
  .refine(
    (options) => options.out === undefined || options.split === undefined,
    'split is for stores: a container file is whole',
  );

/** An artifact of the legacy profile: bytes, the path of a file, or the paths of both parts. */
export type LegacySource = Uint8Array | string | PartFiles;

/** Options of `migrate`, wherever the container goes. */
export interface MigrateOptions extends SealOptions {
  /** The key that opens the artifact. `LegacyKey` of `@org/model-guard/legacy` makes it. */
  readonly key: LegacyKey;
  /** `[a-z0-9][a-z0-9._-]{0,127}` */
  readonly name: string;
  /** The same grammar. */
  readonly version: string;
  /** The name of the only file in the container, which an artifact does not hold. Default: `model`. */
  readonly fileName?: string | undefined;
  /** As in {@link ProtectOptions}; from the extension of `fileName`. */
  readonly format?: string | undefined;
  /** Replaces what is there. Default: ALREADY_EXISTS. */
  readonly overwrite?: boolean | undefined;
  /**
   * SHA-256 of the plaintext, 64 hex digits. The artifact is then decrypted once more beforehand and compared: about 1 in 256 wrong
   * keys is not noticed otherwise, and the container would vouch for garbage.
   */
  readonly plaintextSha256?: string | undefined;
}

/** Options of `migrate` that publish both parts in a store, as `protect` does. */
export interface MigrateToStoreOptions extends MigrateOptions {
  /** Where the parts go. */
  readonly to: Stores;
  readonly split?: SplitRule | undefined;
}

/** Options of `migrate` that write one container file, as `encryptFile` does. */
export interface MigrateToFileOptions extends MigrateOptions {
  /** Path of the container, conventionally `….mguard`. */
  readonly out: string;
  /** 1 to 32, each once, at most one passphrase. */
  readonly recipients: readonly Recipient[];
}

/** How far what was migrated can be trusted to be what was once encrypted. */
export interface MigratedSource {
  /** `checked`: its SHA-256 is the one that was given. `unauthenticated`: it was not checked against anything. */
  readonly source: 'checked' | 'unauthenticated';
}

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
    const recipients = given ?? (to ? await recipientsOf(splitStores(to).small, ref, run) : []);
    if (!overwrite) await (to ? refusePublished(splitStores(to).small, ref, run) : refuseExisting(file));
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
    const actual = await work('verify', reader.size, run, (counted) => reader.sha256(counted));
    if (hex(actual) !== sha256.toLowerCase()) throw failed();
  } finally {
    reader.close();
  }
}
