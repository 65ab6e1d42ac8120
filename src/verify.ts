import { z } from 'zod';
import { abortable } from './base/abort.js';
import { bytes, filePath, parse } from './base/validate.js';
import { checkParts, checkPayload } from './engine/check-parts.js';
import { beginning, type ContainerInfo, publicInfo } from './engine/container.js';
import { withBigPart } from './engine/open.js';
import { withVersion } from './engine/store-defaults.js';
import { resolveVerifiers, type Verifier, verifier } from './keys/verifiers.js';
import { call } from './native/index.js';
import { type RunOptions, run } from './native/work.js';
import { type Reference, reference, stores } from './stores/options.js';
import { getSmall, splitStores } from './stores/parts.js';
import type { ModelRef, Stores } from './stores/store.js';

export const storedSource = z.strictObject({ ref: reference, from: stores });

export const byteOrFileSource = z.union([bytes, filePath], { error: 'wants bytes, a path, or { ref, from }' });

export const verifyOptions = z.strictObject({ ...run, verifier });

/** A container or a small part: bytes, a path, or a reference and where it is stored. */
export type ContainerSource = Uint8Array | string | { readonly ref: Reference; readonly from: Stores };

/** Options of `verify`. */
export interface VerifyOptions extends RunOptions {
  /** The publisher's public keys that are trusted. */
  readonly verifier: Verifier;
}

/** The result of `verify`. */
export interface Verified {
  readonly info: ContainerInfo;
  /** Whether the payload was there and its digest was computed, or the signature alone was checked. */
  readonly payload: 'checked' | 'absent';
}

/**
 * The public facts of a container or a small part. Needs no key and checks nothing but the form.
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
  const { small } = splitStores(given.from);
  return publicInfo(await beginning(await getSmall(small, await withVersion(small, given.ref, {}))));
}

/**
 * Checks that a pinned publisher signed it and, where the payload is there, that it is the one that was signed. Needs no key of a
 * recipient and decrypts nothing.
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
      : verifyStored(await withVersion(splitStores(given.from).small, given.ref, run), given.from, publishers, run),
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
  const { small: smalls, big: bigs } = splitStores(from);
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
  call((native) => native.checkOrigin(head, { ...ref, publishers }));
}
