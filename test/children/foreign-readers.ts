/** Disposes of models while threads of Node's own pool read their bytes, and says what became of the jobs. */
import { randomBytes, webcrypto } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, constants, deflate, gzip } from 'node:zlib';
import { decrypt, encrypt, MasterKey } from '../../src/index.js';
import { argument, tell } from './dialogue.js';

const key = MasterKey.generate();
const sealed = await encrypt(randomBytes(Number(argument(0))), { name: 'net', version: '1', recipients: [key] });

const jobs: readonly ((bytes: Uint8Array) => Promise<unknown>)[] = [
  promisify(deflate),
  promisify(gzip),
  (bytes) => promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  (bytes) => webcrypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>),
];

let done = 0;
for (let round = 0; round < Number(argument(1)); round += 1) {
  const model = await decrypt(sealed, { identities: [key], unsigned: 'accept' });
  const reading = jobs.map((job) => job(model.bytes));
  model.dispose();
  globalThis.gc?.();
  await Promise.all(reading);
  done += reading.length;
}
tell(`done ${done}`);
