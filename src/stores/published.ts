/** Finds out early whether a version is published, before it is encrypted in vain. `putSmall` decides atomically. */
import { hasCode, ModelGuardError } from '../errors.js';
import { call } from '../native/index.js';
import { getSmall, label, withStoreErrors } from './parts.js';
import type { ModelRef, PartStore, Standing, StoreOptions } from './store.js';

/** The version that is published as `ref`, if one is. */
export async function publishedAs(store: PartStore, ref: ModelRef, { signal }: StoreOptions): Promise<Standing | undefined> {
  if (store.published) {
    const published = store.published.bind(store);
    return withStoreErrors('could not tell what is published', ref, { signal }, () => published(ref, { signal }));
  }
  try {
    const small = await getSmall(store, ref, { signal });
    return { payloadId: payloadIdOf(small), state: 'released' };
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

/** None of something that is no small part; it is published all the same. */
export function payloadIdOf(small: Uint8Array): string {
  try {
    return call((native) => native.inspect(small)).payloadId;
  } catch {
    return '';
  }
}

/** ALREADY_EXISTS */
export async function refusePublished(store: PartStore, ref: ModelRef, options: StoreOptions): Promise<void> {
  if (await publishedAs(store, ref, options)) throw alreadyPublished(ref);
}

export const alreadyPublished = (ref: ModelRef): ModelGuardError =>
  new ModelGuardError('ALREADY_EXISTS', `${label(ref)} is published already`, {
    advice: 'A published version is immutable: choose another version, or replace it explicitly (overwrite: true, --force).',
  });
