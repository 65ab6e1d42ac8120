import { abortable } from './abort.js';
import { beginning, publicInfo } from './container.js';
import { hasCode, ModelGuardError } from './errors.js';
import { resolveVerifiers } from './keys/resolve.js';
import { withVersion } from './load.js';
import type { NativeSource } from './native/binding.js';
import { call } from './native/index.js';
import { type RunOptions, work } from './native/work.js';
import { withBigPart } from './open.js';
import { byteOrFileSource, parse, storedSource, verifyOptions } from './options.js';
import { apart, getSmall } from './stores/parts.js';
import type { ContainerInfo, ContainerSource, ModelRef, Stores, Verified, VerifyOptions } from './types.js';

/**
 * What a container or a small part says about itself, without a key and without checking anything but its form.
 * @param source Bytes, the path of a file, or `{ ref, from }`.
 * @throws NOT_FOUND, PERMISSION_DENIED, IO_FAILED · NOT_A_CONTAINER, CONTAINER_TRUNCATED, CONTAINER_MALFORMED,
 *   VERSION_UNSUPPORTED, CRITICAL_UNSUPPORTED, LIMIT_EXCEEDED · INVALID_ARGUMENT, NAME_INVALID
 * @see docs/format.md sections 1, 2, 6 and 7
 * @example
 * const { name, version, slots } = await inspect('defects.mguard');
 */
export async function inspect(source: ContainerSource): Promise<ContainerInfo> {
  const given = parseSource(source);
  if ('source' in given) return publicInfo(await beginning(given.source));
  const { small } = apart(given.from);
  return publicInfo(await beginning(await getSmall(small, await withVersion(small, given.ref, {}))));
}

/**
 * Whether a pinned publisher signed it and, where the payload is there, whether it is the one that was signed. No key of a
 * recipient is needed and nothing is decrypted.
 * @param source Bytes or the path of a container or a small part, or `{ ref, from }` for both parts in a store.
 * @returns What was checked; anything wrong is an error.
 * @throws SIGNATURE_MISSING, SIGNATURE_INVALID, REFERENCE_MISMATCH, DIGEST_MISMATCH, PARTS_MISMATCH · what {@link inspect} throws ·
 *   KEY_INVALID, KEY_TYPE_WRONG · ABORT_ERR
 * @see docs/format.md sections 5 and 7
 * @example
 * await verify('defects.mguard', { verifier: 'mgs1:…' });
 */
export async function verify(source: ContainerSource, options: VerifyOptions): Promise<Verified> {
  const given = parseSource(source);
  const { verifier, ...run } = parse(verifyOptions, options);
  const publishers = resolveVerifiers(verifier, 'verifier');
  return await abortable(run.signal, async () =>
    'source' in given
      ? verifyGiven(given.source, publishers, run)
      : verifyStored(await withVersion(apart(given.from).small, given.ref, run), given.from, publishers, run),
  );
}

interface Stored {
  readonly ref: { readonly name: string; readonly version?: string | undefined };
  readonly from: Stores;
}

function parseSource(source: ContainerSource): Stored | { readonly source: Uint8Array | string } {
  if (typeof source === 'object' && source !== null && 'ref' in source) return parse(storedSource, source, 'source');
  return { source: parse(byteOrFileSource, source, 'source') };
}

async function verifyStored(ref: ModelRef, from: Stores, publishers: readonly Uint8Array[], run: RunOptions): Promise<Verified> {
  const { small: smalls, big: bigs } = apart(from);
  const small = await getSmall(smalls, ref, run);
  const found = await beginning(small);
  checkOrigin(small, publishers, ref);
  await withBigPart(bigs, ref, small, run, (big) => checkParts(small, big, run));
  return { info: publicInfo(found), payload: 'checked' };
}

async function verifyGiven(source: Uint8Array | string, publishers: readonly Uint8Array[], run: RunOptions): Promise<Verified> {
  const found = await beginning(source);
  checkOrigin(found.head, publishers);
  if (found.kind === 'container') await checkPayload(found.head, found.rest, run);
  return { info: publicInfo(found), payload: found.kind === 'container' ? 'checked' : 'absent' };
}

function checkOrigin(head: Uint8Array, publishers: readonly Uint8Array[], ref?: ModelRef): void {
  const trust = { ...ref, publishers, leaseKeys: [] };
  call((native) => native.checkOrigin(head, trust));
}

/** The `.tree` of two parts; PARTS_MISMATCH unless they belong together. */
export function checkParts(small: Uint8Array, big: NativeSource, run: RunOptions): Promise<Uint8Array> {
  const { plaintextSize } = call((native) => native.inspect(small));
  return work('verify', plaintextSize, run, (running, native) => native.checkParts(small, big, running));
}

/** The same for a whole container, where damage cannot be a mix-up of parts. */
export async function checkPayload(head: Uint8Array, rest: NativeSource, run: RunOptions): Promise<Uint8Array> {
  try {
    return await checkParts(head, rest, run);
  } catch (error) {
    if (hasCode(error, 'PARTS_MISMATCH'))
      throw new ModelGuardError('DIGEST_MISMATCH', 'The payload is not the one that the header states', { cause: error });
    throw error;
  }
}
