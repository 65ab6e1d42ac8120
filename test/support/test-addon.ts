/** The addon's primitives, exposed only in a build for tests, so that third-party vectors can be run through them. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { projectRoot } from './shared.js';

/** The tests run over the OpenSSL of the prebuilds (`npm run test:own-crypto`). */
const ownCrypto = process.env.MG_TEST_ADDON !== undefined;

export type VectorHash = 'sha256' | 'sha384' | 'sha512';

/** Functions throw, or return null, where they refuse. */
export interface Primitives {
  gcmSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plain: Uint8Array): Uint8Array;
  gcmOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | null;
  /** IV ‖ ciphertext of the legacy profile, under an AES key as it is. */
  legacySeal(aesKey: Uint8Array, iv: Uint8Array, plain: Uint8Array): Uint8Array | null;
  legacyOpen(aesKey: Uint8Array, artifact: Uint8Array): Uint8Array | null;
  hkdf(hash: VectorHash, ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array;
  hmac(hash: VectorHash, key: Uint8Array, message: Uint8Array): Uint8Array;
  x25519(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | null;
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array;
  chunkedOpen(key: Uint8Array, context: Uint8Array, message: Uint8Array): Uint8Array | null;
  chunkedKeys(
    key: Uint8Array,
    context: Uint8Array,
    message: Uint8Array,
  ): { readonly key: Uint8Array; readonly baseNonce: Uint8Array } | null;
  /** enc ‖ ciphertext ‖ tag */
  hpkeSeal(publicKey: Uint8Array, info: Uint8Array, aad: Uint8Array, plain: Uint8Array): Uint8Array;
  hpkeOpen(enc: Uint8Array, privateKey: Uint8Array, info: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | null;
}

function hasVectors(loaded: unknown): loaded is { readonly vectors: Primitives } {
  return typeof loaded === 'object' && loaded !== null && 'vectors' in loaded && typeof loaded.vectors === 'object';
}

export function loadPrimitives(): Primitives {
  const folder = ownCrypto ? 'own-crypto' : 'addon';
  const file = path.join(projectRoot, `test/${folder}/build/Release/vectors.node`);
  if (!existsSync(file)) throw new Error(`${file} is missing: the addon was not built for tests`);
  const loaded: unknown = createRequire(import.meta.url)(file);
  if (!hasVectors(loaded)) throw new Error(`${file} exports no vectors`);
  return loaded.vectors;
}
