/** Publishes by way of a staging folder, says when it sends, and then waits to be killed. */
import { fileStore, MasterKey, protect, SigningKey } from '../../src/index.js';
import { hooked } from '../support/hooked-store.js';
import { argument, tell } from './dialogue.js';

const [source = '', resume = '', store = '', key = '', signing = ''] = [0, 1, 2, 3, 4].map(argument);
const to = hooked(fileStore(store), (operation) => {
  if (operation !== 'piece') return;
  tell('sending');
  return new Promise<never>(() => setInterval(() => undefined, 1000));
});
await protect(source, {
  ...{ name: 'net', version: '1', to, resume },
  recipients: [await MasterKey.fromFile(key)],
  signer: await SigningKey.fromFile(signing),
});
