/**
 * A file that was measured, and may change before it is used. If these fail, an unauthenticated archive is read that is not the one that
 * was registered, or a new permission counts as a change.
 */
import { chmodSync, linkSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { handleOf } from '../../src/keys/key.js';
import { encryptFile, LegacyKey } from '../../src/legacy/index.js';
import { call } from '../../src/native/index.js';
import { digestFile } from '../../src/remote/file-digest.js';
import { failureOf } from '../support/failures.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('measured');
const TIME = 1_000_000_000;
let count = 0;
function newFile(): string {
  const file = path.join(base, `archive-${count++}`);
  writeFileSync(file, Buffer.alloc(48, 'a'));
  utimesSync(file, TIME, TIME);
  return file;
}
/** Repeats until the change time moves: the clock of a file system may stand still for some milliseconds. */
function untilSeen(file: string, change: () => void): void {
  const before = statSync(file, { bigint: true }).ctimeNs;
  do change();
  while (statSync(file, { bigint: true }).ctimeNs === before);
}
/** Leaves nothing but the change time to tell. */
const rewriteInPlace = (file: string): void =>
  untilSeen(file, () => {
    writeFileSync(file, Buffer.alloc(statSync(file).size, 'b'));
    utimesSync(file, TIME, TIME);
  });

it('is still there with other permissions and another hard link', async () => {
  const file = newFile();
  const { stillThere, size } = await digestFile(file, {});
  linkSync(file, `${file}.link`);
  untilSeen(file, () => chmodSync(file, 0o640));
  await stillThere();
  expect(size).toBe(48);
});

it('is not there any more where its content changed and its time was set back', async () => {
  const file = newFile();
  const { stillThere } = await digestFile(file, {});
  rewriteInPlace(file);
  expect((await failureOf(stillThere)).code).toBe('SOURCE_CHANGED');
});

it('is not read as a legacy artifact after that', async () => {
  const file = `${newFile()}.enc`;
  const key = await LegacyKey.fromKeyString({ text: 'k'.repeat(44) });
  await encryptFile(newFile(), file, { key });
  utimesSync(file, TIME, TIME);
  const handle = handleOf(key);
  if (handle === undefined) throw new Error('the key has no handle');
  const reader = await call((native) => native.legacyOpen({ file }, handle));
  rewriteInPlace(file);
  expect((await failureOf(() => call(() => reader.read(0, 16)))).code).toBe('SOURCE_CHANGED');
  reader.close();
});
