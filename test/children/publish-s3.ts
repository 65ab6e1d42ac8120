/** Publishes into a bucket by way of a staging folder. Says when it encrypts, and what it published. */
import { MasterKey, type Progress, protect, SigningKey, s3Store } from '../../src/index.js';
import { argument, tell } from './dialogue.js';

export interface Publishing {
  readonly source: string;
  readonly resume: string;
  readonly version: string;
  readonly master: string;
  readonly signing: string;
  readonly store: Parameters<typeof s3Store>[0];
}

const { source, resume, version, master, signing, store } = JSON.parse(argument(0)) as Publishing;
let encrypting = false;
const published = await protect(source, {
  ...{ name: 'net', version, to: s3Store(store), resume },
  recipients: [await MasterKey.fromFile(master)],
  signer: await SigningKey.fromFile(signing),
  onProgress: ({ phase }: Progress) => {
    if (encrypting || phase !== 'encrypt') return;
    encrypting = true;
    tell('encrypting');
  },
});
tell(`published ${published.payloadId}`);
