/** Waits for the writers of many pipes at once, and works meanwhile; one of the writers is this process itself. */
import { execFileSync } from 'node:child_process';
import { setMaxListeners } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AbortError, decrypt, encrypt, MasterKey, passphrase } from '../../src/index.js';
import { argument, tell } from './dialogue.js';

const folder = argument(0);
const pipes = Array.from({ length: Number(argument(1)) }, (_, index) => path.join(folder, `pipe-${index}`));
const secret = path.join(folder, 'secret');
execFileSync('mkfifo', [...pipes, secret]);

const stopping = new AbortController();
const { signal } = stopping;
setMaxListeners(pipes.length, signal);
const reads = pipes.map((pipe, index) =>
  index % 2 ? MasterKey.fromFile(pipe, { signal }) : passphrase({ file: pipe }, { signal }),
);
const outcomes = Promise.allSettled(reads);

const word = passphrase({ file: secret });
const key = MasterKey.generate();
const text = 'tell nobody';
using model = await decrypt(await encrypt(Buffer.from(text), { name: 'net', version: '1', recipients: [key] }), {
  identities: [key],
  unsigned: 'accept',
});
if (Buffer.from(model.bytes).toString() !== text) throw new Error('another text');
// This process could not write these if a wait for them held up everything else.
await writeFile(secret, model.bytes);
await word;
tell('worked');

stopping.abort();
const ended = (await outcomes).filter((one) => one.status === 'rejected' && one.reason instanceof AbortError);
tell(`ended ${ended.length}`);
process.exit(0);
