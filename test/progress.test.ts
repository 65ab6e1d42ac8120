/** Every long operation says how far it is and can be stopped. If these fail, somebody waits without knowing for what, or has to kill it. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  decryptFile,
  encrypt,
  encryptFile,
  load,
  MasterKey,
  memoryStore,
  mergeFiles,
  type Progress,
  protect,
  type RunOptions,
  rekey,
  SigningKey,
  splitFile,
  verify,
  verifyAuditLog,
} from '../src/index.js';
import { auditKey, checkpointAt, exported, sampleLog } from './support/audit-log.js';
import { seeded } from './support/seed.js';
import { temporaryFolder } from './support/temp.js';

const folder = temporaryFolder('progress');
const at = (name: string): string => path.join(folder, name);
const random = seeded('progress');
const master = MasterKey.generate();
const signer = SigningKey.generate();
const sealing = { recipients: [master], signer };
const opening = { identities: [master], verifier: signer.publicKey };
const store = memoryStore();
const log = sampleLog(random, 50);
let count = 0;
const fresh = (): string => at(`out-${++count}`);

beforeAll(async () => {
  writeFileSync(at('net.onnx'), random.bytes(2_000_000));
  writeFileSync(at('audit.jsonl'), exported(log.lines));
  await encryptFile(at('net.onnx'), at('net.mguard'), sealing);
  await splitFile(at('net.mguard'), { small: at('small'), big: at('big') });
  await protect(at('net.onnx'), { ...sealing, name: 'net', version: '1', to: store });
});

const audited = { checkpoint: checkpointAt(log, 40), key: auditKey.publicKey };
const OPERATIONS: readonly [string, readonly string[], (run: RunOptions) => Promise<unknown>][] = [
  [
    'protect',
    ['encrypt'],
    (run) => protect(at('net.onnx'), { ...sealing, ...run, name: 'net', version: '2', to: memoryStore() }),
  ],
  [
    'protect with resume',
    ['encrypt', 'upload'],
    (run) => protect(at('net.onnx'), { ...sealing, ...run, name: 'net', version: '2', to: memoryStore(), resume: fresh() }),
  ],
  ['encrypt', ['encrypt'], (run) => encrypt(random.bytes(100_000), { ...sealing, ...run })],
  ['encryptFile', ['encrypt'], (run) => encryptFile(at('net.onnx'), fresh(), { ...sealing, ...run })],
  ['load', ['decrypt'], (run) => load('net@1', { ...opening, ...run, from: store })],
  ['decryptFile', ['decrypt'], (run) => decryptFile(at('net.mguard'), { ...opening, ...run })],
  ['rekey', ['decrypt', 'encrypt'], (run) => rekey('net@1', { ...sealing, ...opening, ...run, store })],
  ['verify', ['verify'], (run) => verify(at('net.mguard'), { verifier: signer.publicKey, ...run })],
  ['splitFile', ['copy', 'verify'], (run) => splitFile(at('net.mguard'), { small: fresh(), big: fresh() }, run)],
  ['mergeFiles', ['copy', 'verify'], (run) => mergeFiles({ small: at('small'), big: at('big') }, fresh(), run)],
  ['verifyAuditLog of a file', ['verify'], (run) => verifyAuditLog(at('audit.jsonl'), { ...audited, ...run })],
  ['verifyAuditLog of bytes', ['verify'], (run) => verifyAuditLog(exported(log.lines), { ...audited, ...run })],
];

describe.each(OPERATIONS)('%s', (_name, phases, operation) => {
  it('ends each phase whole, with nothing left', async () => {
    const seen: Progress[] = [];
    await operation({ onProgress: (progress) => seen.push(progress) });
    expect([...new Set(seen.map(({ phase }) => phase))]).toEqual(phases);
    for (const wanted of phases) {
      const last = seen.filter(({ phase }) => phase === wanted).at(-1);
      expect(last).toMatchObject({ bytes: last?.total, rate: expect.any(Number), remaining: 0 });
      expect(last?.total, 'a phase of nothing').toBeGreaterThan(0);
    }
  });

  it('is stopped by what the callback throws, and by a signal', async () => {
    const enough = new Error('enough');
    const onProgress = (): void => {
      throw enough;
    };
    await expect(operation({ onProgress })).rejects.toBe(enough);
    await expect(operation({ signal: AbortSignal.abort('no more') })).rejects.toMatchObject({
      code: 'ABORT_ERR',
      cause: 'no more',
    });
  });
});
