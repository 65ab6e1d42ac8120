/** Runs one operation on a large input with hardly any memory left, prints its code, and whether the addon still works afterwards. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { ModelGuardError } from '../../src/index.js';
import { call } from '../../src/native/index.js';

const [operation = ''] = process.argv.slice(2);
const LARGE = 256 * 1024 * 1024;
/** Memory that V8 and threads may still take: less than one copy of the input. */
const LEFT = 128 * 1024 * 1024;

const large = new Uint8Array(LARGE);
const small = new Uint8Array(16);
const master = call((native) => native.generateKey('master'));
const signing = call((native) => native.generateKey('signing'));
const { ed25519 = small } = call((native) => native.publicKeys(signing));
const wrapped = call((native) => native.newSubjectKey(master, small));
const { key: legacy } = await call((native) => native.legacyKey({ text: 'a key string' }));
const trust = { publishers: [] };
const artifact = operation === 'legacyRead' ? await call((native) => native.legacyEncrypt(large, legacy)) : small;
const reader = operation === 'legacyRead' ? await call((native) => native.legacyOpen({ bytes: artifact }, legacy)) : undefined;

const operations: Record<string, () => unknown> = {
  sealBox: () => call((native) => native.sealBox(master, wrapped, small, small, large)),
  openBox: () => call((native) => native.openBox(master, wrapped, small, small, large)),
  sign: () => call((native) => native.sign('statement', signing, large)),
  verifySignature: () => call((native) => native.verifySignature('statement', ed25519, large, new Uint8Array(64))),
  open: () => call((native) => native.open({ small: large, identities: [master], trust })),
  rewrap: () => call((native) => native.rewrap({ small: large, identities: [master], trust, recipients: [{ key: master }] })),
  legacyEncrypt: () => call((native) => native.legacyEncrypt(large, legacy)),
  legacyRead: () => call(() => reader?.read(0, LARGE)),
};

const size = Number(/VmSize:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
execFileSync('prlimit', [`--pid=${process.pid}`, `--as=${size + LEFT}`]);

let result = 'nothing failed';
try {
  await operations[operation]?.();
} catch (error) {
  result = error instanceof ModelGuardError ? error.code : `undocumented: ${String(error)}`;
}
console.log(`result ${result}`);
const signature = call((native) => native.sign('statement', signing, small));
const works = call((native) => native.verifySignature('statement', ed25519, small, signature));
console.log(`then ${works ? 'works' : 'fails'}`);
