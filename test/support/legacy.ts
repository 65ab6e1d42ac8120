/** The legacy profile by node:crypto, written from docs/legacy.md alone. */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { decrypt, type LegacyKey } from '../../src/legacy/index.js';

/** Key strings have no public face; tests know them from what they were made of. */
export type KeyString = string | Uint8Array;

export const aesKey = (key: KeyString): Buffer => createHash('sha256').update(key).digest();

export function sealLegacy(plain: Uint8Array, key: KeyString, iv: Uint8Array = randomBytes(16)): Uint8Array {
  const cipher = createCipheriv('aes-256-cbc', aesKey(key), iv);
  return new Uint8Array(Buffer.concat([iv, cipher.update(plain), cipher.final()]));
}

/** Throws where the padding does not fit. */
export function openLegacy(artifact: Uint8Array, key: KeyString): Uint8Array {
  const cipher = createDecipheriv('aes-256-cbc', aesKey(key), artifact.subarray(0, 16));
  return new Uint8Array(Buffer.concat([cipher.update(artifact.subarray(16)), cipher.final()]));
}

/** A key string other than `right` whose padding fits `artifact` nevertheless; about 1 in 256 does. */
export function luckyKey(artifact: Uint8Array, right: KeyString): string {
  for (let count = 0; ; count += 1) {
    const key = `not ${String(right)}, ${count}`;
    try {
      openLegacy(artifact, key);
      return key;
    } catch {
      // the padding does not fit: as for 255 of 256
    }
  }
}

/** The other kind of wrong key: one that is noticed. */
export function noticedKey(artifact: Uint8Array): string {
  for (let count = 0; ; count += 1) {
    const key = `wrong ${count}`;
    try {
      openLegacy(artifact, key);
    } catch {
      return key;
    }
  }
}

/** What the SDK decrypts in memory, as ordinary bytes. */
export async function plainOf(artifact: Uint8Array, key: LegacyKey): Promise<Uint8Array> {
  using model = await decrypt(artifact, { key });
  return model.bytes.slice();
}
