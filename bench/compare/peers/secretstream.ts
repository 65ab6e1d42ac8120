/** libsodium's secretstream (XChaCha20-Poly1305), through sodium-native. */
import { createReadStream, createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { type Subject, timed } from '../subject.js';
import { keyOf, MIB, newKey, sealed } from './files.js';
import { missingPeer, peer } from './package.js';

interface Sodium {
  readonly default: {
    readonly crypto_secretstream_xchacha20poly1305_ABYTES: number;
    readonly crypto_secretstream_xchacha20poly1305_HEADERBYTES: number;
    readonly crypto_secretstream_xchacha20poly1305_STATEBYTES: number;
    readonly crypto_secretstream_xchacha20poly1305_TAG_MESSAGE: number;
    crypto_secretstream_xchacha20poly1305_init_push(state: Buffer, header: Buffer, key: Buffer): void;
    crypto_secretstream_xchacha20poly1305_push(state: Buffer, cipher: Buffer, message: Buffer, ad: null, tag: number): number;
    crypto_secretstream_xchacha20poly1305_init_pull(state: Buffer, header: Buffer, key: Buffer): void;
    crypto_secretstream_xchacha20poly1305_pull(state: Buffer, message: Buffer, tag: Buffer, cipher: Buffer, ad: null): number;
  };
}
/** Plaintext bytes of a message. */
const MESSAGE = MIB;

export const secretstream: Subject = {
  name: 'libsodium secretstream, 1 MiB messages',
  kind: 'load',
  missing: missingPeer('sodium-native'),
  async prepare(place) {
    const { default: sodium } = await peer<Sodium>('sodium-native');
    const secret = newKey(place, 'sodium');
    const state = Buffer.alloc(sodium.crypto_secretstream_xchacha20poly1305_STATEBYTES);
    const header = Buffer.alloc(sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES);
    sodium.crypto_secretstream_xchacha20poly1305_init_push(state, header, secret);
    const out = createWriteStream(sealed(place, 'sodium'));
    async function* messages() {
      yield header;
      for await (const piece of createReadStream(place.plain, { highWaterMark: MESSAGE })) {
        const cipher = Buffer.alloc((piece as Buffer).length + sodium.crypto_secretstream_xchacha20poly1305_ABYTES);
        const tag = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;
        sodium.crypto_secretstream_xchacha20poly1305_push(state, cipher, piece as Buffer, null, tag);
        yield cipher;
      }
    }
    await pipeline(messages, out);
  },
  start: async (place) => {
    const { default: sodium } = await peer<Sodium>('sodium-native');
    const secret = keyOf(place, 'sodium');
    return timed(async () => {
      const file = await open(sealed(place, 'sodium'));
      const state = Buffer.alloc(sodium.crypto_secretstream_xchacha20poly1305_STATEBYTES);
      const header = Buffer.alloc(sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES);
      await file.read(header, 0, header.length);
      sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, header, secret);
      const out = Buffer.allocUnsafeSlow(place.bytes);
      const more = sodium.crypto_secretstream_xchacha20poly1305_ABYTES;
      const cipher = Buffer.allocUnsafeSlow(MESSAGE + more);
      const tag = Buffer.alloc(1);
      for (let at = 0; at < place.bytes; ) {
        const { bytesRead } = await file.read(cipher, 0, Math.min(MESSAGE, place.bytes - at) + more);
        const message = out.subarray(at, at + bytesRead - more);
        at += sodium.crypto_secretstream_xchacha20poly1305_pull(state, message, tag, cipher.subarray(0, bytesRead), null);
      }
      await file.close();
      return out;
    });
  },
};
