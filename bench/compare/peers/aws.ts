/** The AWS Encryption SDK for JavaScript, with a raw AES keyring. */
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type Place, type Subject, timed } from '../subject.js';
import { keyOf, MIB, newKey, sealed } from './files.js';
import { missingPeer, peer } from './package.js';

interface AwsCrypto {
  readonly CommitmentPolicy: { readonly REQUIRE_ENCRYPT_REQUIRE_DECRYPT: string };
  readonly RawAesWrappingSuiteIdentifier: { readonly AES256_GCM_IV12_TAG16_NO_PADDING: number };
  readonly RawAesKeyringNode: new (input: object) => object;
  buildClient(policy: string): {
    encryptStream(keyring: object): NodeJS.ReadWriteStream;
    decryptStream(keyring: object): NodeJS.ReadWriteStream;
  };
}

export const aws: Subject = {
  name: 'AWS Encryption SDK for JavaScript',
  kind: 'load',
  missing: missingPeer('@aws-crypto/client-node'),
  async prepare(place) {
    newKey(place, 'aws');
    const { client, keyring } = await awsClient(place);
    const from = createReadStream(place.plain, { highWaterMark: MIB });
    await pipeline(from, client.encryptStream(keyring), createWriteStream(sealed(place, 'aws')));
  },
  start: async (place) => {
    const { client, keyring } = await awsClient(place);
    return timed(async () => {
      const out = Buffer.allocUnsafeSlow(place.bytes);
      let at = 0;
      const plain = createReadStream(sealed(place, 'aws'), { highWaterMark: MIB }).pipe(client.decryptStream(keyring));
      for await (const piece of plain) at += (piece as Buffer).copy(out, at);
      return out;
    });
  },
};

async function awsClient(place: Place) {
  const sdk = await peer<AwsCrypto>('@aws-crypto/client-node');
  const keyring = new sdk.RawAesKeyringNode({
    keyName: 'bench',
    keyNamespace: 'model-guard',
    unencryptedMasterKey: new Uint8Array(keyOf(place, 'aws')),
    wrappingSuite: sdk.RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  return { client: sdk.buildClient(sdk.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT), keyring };
}
