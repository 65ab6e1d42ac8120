/** Sections 3 and 5: chunked encryption of the message, and the tree over its chunks. */
import { ascii, concat, must, same } from './bytes.js';
import { bound } from './core.js';
import { chunkCount, payloadLength } from './header.js';
import { digest, gcmOpen, gcmSeal, hkdfExpand, random } from './primitives.js';

export const CHUNK = 16_384;
export const SEALED = CHUNK + 16;
const none = new Uint8Array(0);

export interface PayloadKeys {
  readonly key: Uint8Array;
  readonly baseNonce: Uint8Array;
  readonly commitment: Uint8Array;
}

/** C2SP chunked encryption v1: from the data key, the salt and a context to the keys of one message. */
export function deriveKeys(dataKey: Uint8Array, salt: Uint8Array, context: Uint8Array): PayloadKeys {
  const label = ascii('c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM');
  const okm = hkdfExpand('sha512', dataKey, concat(label, Uint8Array.of(0), salt, context), 76);
  return { key: okm.slice(0, 32), baseNonce: okm.slice(32, 44), commitment: okm.slice(44) };
}

export const payloadContext = (hash: Uint8Array): Uint8Array => bound('model-guard/v1', hash);

/** base_nonce XOR k, k as a 96-bit integer. */
export function chunkNonce(baseNonce: Uint8Array, k: number): Uint8Array {
  const counter = new Uint8Array(12);
  new DataView(counter.buffer).setBigUint64(4, BigInt(k));
  return baseNonce.map((byte, index) => byte ^ (counter[index] ?? 0));
}

export const sealedChunk = (payload: Uint8Array, k: number): Uint8Array =>
  payload.subarray(56 + k * SEALED, Math.min(56 + (k + 1) * SEALED, payload.length));

export function sealPayload(
  dataKey: Uint8Array,
  context: Uint8Array,
  message: Uint8Array,
  salt: Uint8Array = random(24),
): Uint8Array {
  const keys = deriveKeys(dataKey, salt, context);
  const parts: Uint8Array[] = [salt, keys.commitment];
  for (let k = 0; k < chunkCount(message.length); k += 1) {
    const plain = message.subarray(k * CHUNK, (k + 1) * CHUNK);
    parts.push(gcmSeal(keys.key, chunkNonce(keys.baseNonce, k), none, plain));
  }
  return concat(...parts);
}

export function openPayload(dataKey: Uint8Array, context: Uint8Array, payload: Uint8Array): Uint8Array {
  must(payload.length >= 72, 'a payload has at least 72 bytes');
  const keys = deriveKeys(dataKey, payload.slice(0, 24), context);
  must(same(keys.commitment, payload.slice(24, 56)), 'the commitment is another');
  const plain: Uint8Array[] = [];
  const last = Math.floor((payload.length - 56) / SEALED);
  for (let k = 0; k <= last; k += 1) {
    const sealed = sealedChunk(payload, k);
    const opened = gcmOpen(keys.key, chunkNonce(keys.baseNonce, k), none, sealed);
    must(opened !== undefined, `chunk ${k} is not authentic`);
    plain.push(opened);
  }
  const message = concat(...plain);
  must(payloadLength(message.length) === payload.length, 'the last chunk is not shorter than the others');
  return message;
}

// --- section 5

const leafHash = (leaf: Uint8Array): Uint8Array => digest('sha256', Uint8Array.of(0), leaf);
const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => digest('sha256', Uint8Array.of(1), left, right);

export function leaves(payload: Uint8Array): readonly Uint8Array[] {
  const count = Math.floor((payload.length - 56) / SEALED) + 1;
  return Array.from({ length: count }, (_, k) =>
    leafHash(k === 0 ? payload.subarray(0, Math.min(56 + SEALED, payload.length)) : sealedChunk(payload, k)),
  );
}

/** RFC 9162: a tree of n > 1 leaves splits at the largest power of two below n. */
export function treeHash(hashes: readonly Uint8Array[]): Uint8Array {
  const [only] = hashes;
  must(only !== undefined, 'a tree has leaves');
  if (hashes.length === 1) return only;
  let split = 1;
  while (split * 2 < hashes.length) split *= 2;
  return nodeHash(treeHash(hashes.slice(0, split)), treeHash(hashes.slice(split)));
}

export const payloadDigest = (payload: Uint8Array): Uint8Array => treeHash(leaves(payload));

/** The bytes of the `.tree` file beside a big part. */
export function treeFile(payload: Uint8Array): Uint8Array {
  const hashes = leaves(payload);
  const nodes: Uint8Array[] = [];
  for (let at = 0; at < hashes.length; at += 64) nodes.push(treeHash(hashes.slice(at, at + 64)));
  return concat(...nodes);
}
