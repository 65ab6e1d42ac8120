/** Python's cryptography package, as loaders in Python use it. */
import { execFileSync } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import type { Measured, Subject } from '../subject.js';
import { keyFile, MIB, newKey, sealed } from './files.js';

const CBC = fileURLToPath(new URL('cbc.py', import.meta.url));

const PYTHON = '/usr/bin/python3';
const noPython = () => {
  try {
    execFileSync(PYTHON, ['-c', 'import cryptography'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'python3-cryptography is not installed';
  }
};

export const pythonCbc: Subject = {
  name: "Python's cryptography, AES-256-CBC (not authenticated)",
  kind: 'load',
  missing: noPython,
  async prepare(place) {
    const cipher = createCipheriv('aes-256-cbc', newKey(place, 'python'), new Uint8Array(16));
    const out = createWriteStream(sealed(place, 'python'));
    await pipeline(Readable.from([new Uint8Array(16)]), out, { end: false });
    await pipeline(createReadStream(place.plain, { highWaterMark: MIB }), cipher, out);
  },
  start: async (place) => async () =>
    JSON.parse(execFileSync(PYTHON, [CBC, keyFile(place, 'python'), sealed(place, 'python')], { encoding: 'utf8' })) as Measured,
};
