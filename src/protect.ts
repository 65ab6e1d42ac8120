import { abortable } from './abort.js';
import { hasCode, ModelGuardError } from './errors.js';
import { filePath, parse, protectOptions } from './options.js';
import { publish, sealing } from './seal.js';
import { collectSource } from './source.js';
import { apart, asking, defaultsOf, getSmall, label } from './stores/parts.js';
import type { ModelRef, PartStore, StoreOptions } from './stores/store.js';
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
  const { recipients: given, ...run } = rest;
  const { small } = apart(to);
  const ref = { name, version };
  return await abortable(run.signal, async () => {
    const recipients = given ?? (await recipientsOf(small, ref, run));
    if (!overwrite) await refusePublished(small, ref, run);
    const found = await collectSource(path, run.signal);
    return await sealing({ ref, format: format ?? found.format, inputs: found.inputs, recipients, signer }, (sealer) =>
      publish(sealer, { ref, to, split, overwrite }, run),
    );
  });
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

/** Early, so that nobody waits for an encryption that cannot be published; putSmall decides atomically. */
export async function refusePublished(
  store: PartStore,
  ref: ModelRef,
  { signal }: Pick<ProtectOptions, 'signal'>,
): Promise<void> {
  if (!(await isPublished(store, ref, { signal }))) return;
  throw new ModelGuardError('ALREADY_EXISTS', `${label(ref)} is published already`, {
    advice: 'A published version is immutable: choose another version, or replace it explicitly (overwrite: true, --force).',
  });
}

async function isPublished(store: PartStore, ref: ModelRef, { signal }: StoreOptions): Promise<boolean> {
  if (store.has) {
    const has = store.has.bind(store);
    return asking('could not tell what is published', ref, { signal }, () => has(ref, { signal }));
  }
  try {
    await getSmall(store, ref, { signal });
    return true;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return false;
    throw error;
  }
}
