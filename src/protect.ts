import { abortable } from './abort.js';
import { hasCode, ModelGuardError } from './errors.js';
import { filePath, parse, protectOptions } from './options.js';
import { publish, sealing } from './seal.js';
import { collectSource } from './source.js';
import { apart, getSmall, label } from './stores/parts.js';
import type { ModelRef, PartStore } from './stores/store.js';
import type { ProtectedModel, ProtectOptions, Recipient } from './types.js';

/**
 * Encrypts a model, cuts it in two and publishes both parts as `name@version`. The source is read once, in a stream: memory
 * does not grow with it. What a store holds under that name stays until the new version is whole.
 *
 * @param source Path of a file, or of a folder, which is taken whole (at most 10,000 files; no links, devices or pipes).
 * @returns What was published; keep `digest` if you want to tell versions apart.
 * @throws INVALID_ARGUMENT, NAME_INVALID, KEY_INVALID, KEY_TYPE_WRONG · of `hardware(file)`: MACHINE_FILE_INVALID,
 *   VERSION_UNSUPPORTED, MACHINE_POLICY_WEAK · SOURCE_UNSUPPORTED, SOURCE_EMPTY, SOURCE_CHANGED,
 *   NOT_FOUND, LIMIT_EXCEEDED · ALREADY_EXISTS unless `overwrite` · NO_SPACE, READ_ONLY, PERMISSION_DENIED, IO_FAILED ·
 *   ABORT_ERR. After any of them the store serves what it served; a big part that was already written stays, unreferenced, until
 *   `collect`.
 * @see docs/format.md sections 1–10
 * @example
 * await protect('defects.onnx', {
 *   name: 'defects', version: '3', recipients: ['mgd1:…'], signer: await SigningKey.fromFile('publisher.key'),
 *   to: fileStore('/srv/models'),
 * });
 */
export async function protect(source: string, options: ProtectOptions): Promise<ProtectedModel> {
  const path = parse(filePath, source, 'source');
  const { name, version, to, overwrite = false, split, format, signer, ...rest } = parse(protectOptions, options);
  const { recipients = recipientsOf(apart(to).small), ...run } = rest;
  const ref = { name, version };
  return await abortable(run.signal, async () => {
    if (!overwrite) await refusePublished(apart(to).small, ref, run);
    const found = await collectSource(path, run.signal);
    return await sealing({ ref, format: format ?? found.format, inputs: found.inputs, recipients, signer }, (sealer) =>
      publish(sealer, { ref, to, split, overwrite }, run),
    );
  });
}

/** The recipients that a store brings along. */
export function recipientsOf(store: PartStore): readonly Recipient[] {
  const recipients = store.defaults?.recipients;
  if (!recipients?.length)
    throw new ModelGuardError(
      'INVALID_ARGUMENT',
      'options.recipients: is required, because this store has no default recipients',
    );
  return recipients;
}

/** Early, so that nobody waits for an encryption that cannot be published; putSmall decides atomically. */
export async function refusePublished(
  store: PartStore,
  ref: ModelRef,
  { signal }: Pick<ProtectOptions, 'signal'>,
): Promise<void> {
  try {
    await getSmall(store, ref, { signal });
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return;
    throw error;
  }
  throw new ModelGuardError('ALREADY_EXISTS', `${label(ref)} is published already`, {
    advice: 'A published version is immutable: choose another version, or replace it explicitly (overwrite: true, --force).',
  });
}
