/** Node's own AES-256-GCM over the whole file, in pieces of 1 MiB. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type Place, type Subject, timed } from '../subject.js';
import { keyOf, MIB, newKey, sealed, sync } from './files.js';

const IV = new Uint8Array(12);

async function sealWithNode(place: Place, to: string, secret: Buffer): Promise<void> {
  const cipher = createCipheriv('aes-256-gcm', secret, IV);
  await pipeline(createReadStream(place.plain, { highWaterMark: MIB }), cipher, createWriteStream(to));
  writeFileSync(`${to}.tag`, cipher.getAuthTag());
  await sync(to);
}

export const nodeCrypto: readonly Subject[] = [
  {
    name: 'node:crypto AES-256-GCM',
    kind: 'load',
    prepare: (place) => sealWithNode(place, sealed(place, 'node'), newKey(place, 'node')),
    start: async (place) => {
      const secret = keyOf(place, 'node');
      return timed(async () => {
        const out = Buffer.allocUnsafeSlow(place.bytes);
        const decipher = createDecipheriv('aes-256-gcm', secret, IV);
        decipher.setAuthTag(readFileSync(`${sealed(place, 'node')}.tag`));
        let at = 0;
        for await (const piece of createReadStream(sealed(place, 'node'), { highWaterMark: MIB }).pipe(decipher))
          at += (piece as Buffer).copy(out, at);
        if (at !== place.bytes) throw new Error('node:crypto lost bytes');
        return out;
      });
    },
  },
  {
    name: 'node:crypto AES-256-GCM',
    kind: 'protect',
    start: async (place) => {
      const to = `${sealed(place, 'node')}.new`;
      rmSync(to, { force: true });
      return timed(() => sealWithNode(place, to, randomBytes(32)));
    },
  },
];
