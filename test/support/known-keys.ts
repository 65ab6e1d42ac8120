/** Keys that the addon holds and whose bytes a test knows, so that what is made with them can be computed a second time. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { KeyHandle, NativeTrust } from '../../src/native/binding.js';
import { call } from '../../src/native/index.js';
import { keyFile } from '../reference/container.js';
import { publicOf } from '../reference/primitives.js';
import type { Random } from './seed.js';

export interface KnownKey {
  readonly handle: KeyHandle;
  readonly raw: Uint8Array;
}
const SIZES = { master: 32, device: 64, signing: 32 };

/** Makes keys of `random`'s bytes; their files lie in `folder`. */
export function knownKeys(folder: string, random: Random): (type: keyof typeof SIZES) => Promise<KnownKey> {
  let count = 0;
  return async (type) => {
    const raw = random.bytes(SIZES[type]);
    const file = path.join(folder, `known-${++count}.key`);
    writeFileSync(file, keyFile(type, raw), { mode: 0o600 });
    return { handle: (await call((native) => native.readKeyFile(file))).key, raw };
  };
}
/** What is sealed to a device key is sealed to this. */
export const x25519 = ({ raw }: KnownKey): Uint8Array => publicOf('x25519', raw.slice(0, 32));
/** What a device key or a signing key signs with. */
export const seed = ({ raw }: KnownKey): Uint8Array => raw.slice(-32);

export const trust = (publishers: Uint8Array[] = [], leaseKeys: Uint8Array[] = []): NativeTrust => ({ publishers, leaseKeys });
