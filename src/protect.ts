import { relative, sep } from 'node:path';
import { abortable } from './abort.js';
import { ModelGuardError, optionError } from './errors.js';
import { realPathOf } from './files.js';
import { parse, protectOptions } from './options.js';
import { publish, sealing } from './seal.js';
import { collectSource, type GivenSource, givenSource, wipe } from './source.js';
import { publishStaged } from './staging/publish.js';
import { apart, defaultsOf } from './stores/parts.js';
import { refusePublished } from './stores/published.js';
import type { ModelRef, PartStore, StoreOptions } from './stores/store.js';
import type { ProtectedModel, ProtectOptions, Recipient } from './types.js';

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
  const { small } = apart(to);
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

/** The recipients that a store brings along. */
export async function recipientsOf(store: PartStore, ref: ModelRef, { signal }: StoreOptions): Promise<readonly Recipient[]> {
  const { recipients } = await defaultsOf(store, { for: 'sealing', ref, signal });
  if (!recipients?.length)
    throw new ModelGuardError(
      'INVALID_ARGUMENT',
      'options.recipients: is required, because this store has no default recipients',
    );
  return recipients;
}
