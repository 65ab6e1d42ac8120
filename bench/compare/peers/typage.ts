/** age in TypeScript: the package age-encryption. */
import { createReadStream, createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { type Subject, timed } from '../subject.js';
import { keyFile, MIB, sealed } from './files.js';
import { missingPeer, peer } from './package.js';

interface Age {
  readonly Encrypter: new () => { addRecipient(text: string): void; encrypt(from: ReadableStream): Promise<ReadableStream> };
  readonly Decrypter: new () => {
    addIdentity(text: string): void;
    decrypt(from: ReadableStream): Promise<ReadableStream<Uint8Array>>;
  };
  generateIdentity(): Promise<string>;
  identityToRecipient(identity: string): Promise<string>;
}

export const typage: Subject = {
  name: 'typage (age-encryption)',
  kind: 'load',
  missing: missingPeer('age-encryption'),
  async prepare(place) {
    const { Encrypter, generateIdentity, identityToRecipient } = await peer<Age>('age-encryption');
    const identity = await generateIdentity();
    writeFileSync(keyFile(place, 'typage'), identity, { mode: 0o600 });
    const encrypter = new Encrypter();
    encrypter.addRecipient(await identityToRecipient(identity));
    const source = Readable.toWeb(createReadStream(place.plain, { highWaterMark: MIB })) as ReadableStream;
    await (await encrypter.encrypt(source)).pipeTo(Writable.toWeb(createWriteStream(sealed(place, 'typage'))));
  },
  start: async (place) => {
    const { Decrypter } = await peer<Age>('age-encryption');
    const identity = readFileSync(keyFile(place, 'typage'), 'utf8');
    return timed(async () => {
      const decrypter = new Decrypter();
      decrypter.addIdentity(identity);
      const source = Readable.toWeb(createReadStream(sealed(place, 'typage'), { highWaterMark: MIB })) as ReadableStream;
      const out = Buffer.allocUnsafeSlow(place.bytes);
      let at = 0;
      for await (const piece of await decrypter.decrypt(source)) {
        out.set(piece, at);
        at += piece.length;
      }
      return out;
    });
  },
};
