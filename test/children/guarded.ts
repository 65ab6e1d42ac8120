/**
 * Protects and loads a model with keys that it knows by path only, and waits between the steps to be looked at from outside.
 * It makes no copy of a key or of the model by itself, unless it is told to leak one.
 */
import { readFileSync } from 'node:fs';
import {
  DeviceKey,
  fileStore,
  type GuardedModel,
  type Identity,
  load,
  MasterKey,
  passphrase,
  protect,
  SigningKey,
} from '../../src/index.js';
import { argument, hear, tell } from './dialogue.js';

const source = argument(0);
const store = fileStore(argument(1));
const files = { master: argument(2), device: argument(3), signing: argument(4), passphrase: argument(5) };
const reference = { name: 'guarded', version: '1' };
const keep: unknown[] = [];

const keys = {
  master: await MasterKey.fromFile(files.master),
  device: await DeviceKey.fromFile(files.device),
  signing: await SigningKey.fromFile(files.signing),
  passphrase: await passphrase({ file: files.passphrase }),
};
const verifier = keys.signing.publicKey;
const models: GuardedModel[] = [];

async function loadWith(...identities: readonly Identity[]): Promise<void> {
  models.push(await load(reference, { from: store, identities, verifier }));
}

const steps: Readonly<Record<string, () => Promise<void> | void>> = {
  protect: async () => {
    const recipients = [keys.master, keys.device, keys.passphrase];
    await protect(source, { ...reference, recipients, signer: keys.signing, to: store });
  },
  load: async () => {
    await loadWith(keys.master);
    await loadWith(keys.device);
    await loadWith(keys.passphrase);
  },
  // What a careless program would do: the key as text and as bytes on the heap of JavaScript.
  leak: () => {
    const bytes = Buffer.from(readFileSync(files.master, 'latin1').split('\n')[1] ?? '', 'base64url');
    keep.push(bytes, bytes.toString('hex'));
  },
  dispose: () => {
    for (const model of models) model.dispose();
  },
  abort: () => process.abort(),
};

tell('ready');
for (let word = await hear(); word !== 'end'; word = await hear()) {
  await steps[word]?.();
  tell(`${word} done`);
}
process.exit(0);
