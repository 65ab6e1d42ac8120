/**
 * Options that several verbs share, with the schemas that check them. Types stand beside their schemas rather than derived from them,
 * because zod's own declarations need libraries that consumers of this package may not have; test/types.test.ts keeps both equal.
 */
import { isUint8Array } from 'node:util/types';
import { z } from 'zod';
import { list } from '../base/schemas.js';
import { filePath, opaque } from '../base/validate.js';
import type { SigningKey } from '../keys/secret.js';
import { type Verifier, verifier } from '../keys/verifiers.js';
import { type RunOptions, run } from '../native/work.js';
import type { Identity, Recipient } from '../recipients/kinds.js';

const MAX_KEYS = 32;
const MAX_SMALL_BYTES = 16 * 1024 * 1024;

const MAX_RATIO = 0.9;

/** More than 32 passphrases and 32 slots of six factors can take. */
const MAX_DERIVATIONS = 1024;

export const recipients = list(opaque<Recipient>(), MAX_KEYS).min(1);

export const identities = list(opaque<Identity>(), MAX_KEYS).min(1);

export const maxDerivations = z.int().min(0).max(MAX_DERIVATIONS).optional();

export const sealShape = {
  ...run,
  recipients: recipients.optional(),
  signer: opaque<NonNullable<SealOptions['signer']>>().optional(),
};

export const originShape = {
  verifier: verifier.optional(),
  unsigned: z.literal('accept').optional(),
  leaseKeys: verifier.optional(),
};

export const form = z
  .enum(['bytes', 'path'])
  .refine(
    (as) => as === 'bytes' || process.platform === 'linux',
    "'path' wants Linux: other systems have no sealed files in memory",
  )
  .optional();

/** Neither is left to the caller's code: the store's defaults may still bring a verifier. */
export const oneOrigin = (options: { readonly verifier?: unknown; readonly unsigned?: unknown }) =>
  options.verifier === undefined || options.unsigned === undefined;

export const ONE_ORIGIN = "verifier and unsigned: 'accept' exclude each other";

/** Bytes are told apart first: they have as many keys as bytes, and an object of the wrong shape has each of them named. */
export const partFiles = z
  .custom<PartFiles>((value) => !isUint8Array(value), 'wants { small, big } with a path each')
  .pipe(z.strictObject({ small: filePath, big: filePath }));

export const splitRule = z.strictObject({
  maxBytes: z.int().min(0).max(MAX_SMALL_BYTES).optional(),
  ratio: z.number().min(0).max(MAX_RATIO).optional(),
});

/** Where the small part ends: `max(end of header + 56, min(maxBytes, ratio · total))` (docs/format.md section 10). */
export interface SplitRule {
  /** Bytes, 0 to 16 MiB. Default 3072. */
  readonly maxBytes?: number | undefined;
  /** Part of the whole, 0 to 0.9. Default 0.3. */
  readonly ratio?: number | undefined;
}

/** The recipients of a model, and the signer that vouches for its origin. */
export interface SealOptions extends RunOptions {
  /** 1 to 32, each once, at most one passphrase. Default: the store's. */
  readonly recipients?: readonly Recipient[] | undefined;
  /** Signs as publisher. Without it every loader must accept an unsigned model. */
  readonly signer?: SigningKey | undefined;
}

/** Where trust in a model's origin comes from: exactly one of the two, unless the store has a default. */
export interface OriginOptions {
  /** The publisher's public keys that are trusted. */
  readonly verifier?: Verifier | undefined;
  /** Accepts a model whatever its origin: anyone who could write to the storage may have made it. */
  readonly unsigned?: 'accept' | undefined;
  /** Keys of servers whose leases are trusted. A lease that no guard server gave just now opens until its offline-until. */
  readonly leaseKeys?: Verifier | undefined;
}

/** Options of calls that read a folder. */
export interface SourceOptions {
  /**
   * Takes what symbolic links in the folder lead to, files and folders, inside the folder or outside, as if it lay there: for a snapshot
   * of a Hugging Face cache, whose files are links. The warning MODEL_GUARD_LINKS_OUTSIDE names those that lead out of the folder. Use it
   * only for folders whose links you trust: one can lead to any file that you may read. Default: links are SOURCE_UNSUPPORTED.
   */
  readonly followLinks?: boolean | undefined;
}

/** The form in which a model is wanted. */
export interface FormOptions {
  /**
   * `path` (Linux 5.1 or newer): also as files that lie in memory alone, for runtimes and programs that want a path. `bytes` and `read` work
   * all the same. Each file takes a descriptor. Default: `bytes`.
   */
  readonly as?: 'bytes' | 'path' | undefined;
}

/** Bounds the work that a container may cost before it opens. */
export interface DerivationOptions {
  /**
   * Key derivations from passphrases and machines that one opening may take, 0 to 1,024; then DERIVATIONS_EXCEEDED. One is a run of scrypt
   * with N = 2^15. A factor of a hardware slot takes one, a passphrase slot 4 (docs/format.md, section 6: 1 to 8). Default: as many as the
   * identities can need of a container that this release made, so that no such container is refused.
   */
  readonly maxDerivations?: number | undefined;
}

/** Options of functions that write a file. */
export interface OverwriteOptions {
  /** Replaces existing files. Default: ALREADY_EXISTS. */
  readonly overwrite?: boolean | undefined;
}

/** The files of the parts of a container. */
export interface PartFiles {
  readonly small: string;
  readonly big: string;
}

/** The parts of a container in memory. */
export interface Parts {
  readonly small: Uint8Array;
  readonly big: Uint8Array;
}
