import { relative, sep } from 'node:path';
import { z } from 'zod';
import { abortable } from './base/abort.js';
import { name } from './base/names.js';
import { filePath, parse } from './base/validate.js';
import { type SealOptions, type SourceOptions, type SplitRule, sealShape, splitRule } from './engine/options.js';
import { type ProtectedModel, publish, sealing } from './engine/seal.js';
import { collectSource, type GivenSource, givenSource, wipe } from './engine/source.js';
import { recipientsOf } from './engine/store-defaults.js';
import { ModelGuardError, optionError } from './errors.js';
import { realPathOf } from './files/files.js';
import { publishStaged } from './staging/publish.js';
import { stores } from './stores/options.js';
import { splitStores } from './stores/parts.js';
import { refusePublished } from './stores/published.js';
import type { Stores } from './stores/store.js';

export const protectOptions = z.strictObject({
  ...sealShape,
  name,
  version: name,
  to: stores,
  overwrite: z.boolean().optional(),
  split: splitRule.optional(),
  format: name.optional(),
  followLinks: z.boolean().optional(),
  resume: filePath.optional(),
});

/** Options of `protect`. */
export interface ProtectOptions extends SealOptions, SourceOptions {
  /** `[a-z0-9][a-z0-9._-]{0,127}` */
  readonly name: string;
  /** The same grammar. */
  readonly version: string;
  /** Where the parts go. */
  readonly to: Stores;
  /** Replaces a published name@version. Default: ALREADY_EXISTS. */
  readonly overwrite?: boolean | undefined;
  readonly split?: SplitRule | undefined;
  /** The model's format, for people and tools. Default: from the file name's extension; `folder` for a folder. */
  readonly format?: string | undefined;
  /**
   * A folder where what is encrypted is staged (ciphertext, nothing else), so that after a crash the same call sends only what is
   * missing. Without it a crash means encrypting anew. Emptied when the version is published.
   */
  readonly resume?: string | undefined;
}

/**
 * Encrypts a model, cuts it in two and publishes both parts as `name@version`. The source is read once, in a stream: memory
 * does not grow with it. What a store holds under that name stays until the new version is whole.
 *
 * @param source Path of a file, or of a folder, which is taken whole (at most 10,000 files; no devices or pipes, and no links without
 *   `followLinks`). Or the bytes of a single file, which will be called `model`: 1 byte to just under 4 GiB, copied before the call returns.
 * @returns What was published; keep `digest` if you want to tell versions apart.
 * @throws INVALID_ARGUMENT, NAME_INVALID, KEY_INVALID, KEY_TYPE_WRONG · of `hardware(file)`: MACHINE_FILE_INVALID,
 *   VERSION_UNSUPPORTED, MACHINE_POLICY_WEAK · SOURCE_UNSUPPORTED, SOURCE_EMPTY, SOURCE_CHANGED,
 *   NOT_FOUND, LIMIT_EXCEEDED · ALREADY_EXISTS unless `overwrite` · NO_SPACE, READ_ONLY, PERMISSION_DENIED, IO_FAILED ·
 *   with `resume` IN_USE · ABORT_ERR. After any of them the store serves what it served, unless the error says that the outcome is unknown
 *   (`outcome`); a big part that was already written stays, unreferenced, until `collect`.
 * @see docs/format.md sections 1–10
 * @example
 * await protect('defects.onnx', {
 *   name: 'defects', version: '3', recipients: ['mgd1:…'], signer: await SigningKey.fromFile('publisher.key'),
 *   to: fileStore('/srv/models'),
 * });
 */
export async function protect(source: string | Uint8Array, options: ProtectOptions): Promise<ProtectedModel> {
  const model = givenSource(source);
  const {
    name,
    version,
    to,
    overwrite = false,
    split,
    format,
    followLinks,
    signer,
    resume,
    ...rest
  } = parse(protectOptions, options);
  const { recipients: given, ...run } = rest;
  const { small } = splitStores(to);
  const ref = { name, version };
  const publishing = abortable(run.signal, async () => {
    if (resume !== undefined) await refuseBelow(model, resume);
    const recipients = given ?? (await recipientsOf(small, ref, run));
    const publication = { ref, to, split, overwrite };
    const found = async () => ({
      ref,
      ...(await collectSource(model, { format, followLinks, signal: run.signal })),
      recipients,
      signer,
    });
    if (resume !== undefined) return await publishStaged(resume, await found(), publication, run);
    if (!overwrite) await refusePublished(small, ref, run);
    return await sealing(await found(), (sealer) => publish(sealer, publication, run));
  });
  return await publishing.finally(() => wipe(model));
}

/** Staged files would be part of the source of the next run, which has to find the source again. */
async function refuseBelow(source: GivenSource, staging: string): Promise<void> {
  if (typeof source !== 'string')
    throw optionError('INVALID_ARGUMENT', 'options.resume', 'wants a source on the disk, not bytes');
  const [first] = relative(await realPathOf(source), await realPathOf(staging)).split(sep);
  if (first !== '..') throw new ModelGuardError('INVALID_ARGUMENT', `options.resume: ${staging} lies in the source itself`);
}
