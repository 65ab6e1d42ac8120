/** The file store on disk: where things lie, what a failure leaves, and what gets collected when. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type BigPartSource,
  type FileStoreOptions,
  fileStore,
  load,
  MasterKey,
  type PartStore,
  protect,
  type UploadNotes,
} from '../../src/index.js';
import { failureOf } from '../support/failures.js';
import { asOrdinaryUser } from '../support/ordinary-user.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('file-store');
const key = MasterKey.generate();
const source = path.join(base, 'model.onnx');
writeFileSync(source, new Uint8Array(100_000).fill(7));
let count = 0;

function make(options?: FileStoreOptions): { folder: string; store: PartStore } {
  const folder = path.join(base, `store-${count++}`);
  return { folder, store: fileStore(folder, options) };
}
const publish = (to: PartStore, version = '1', change: object = {}) =>
  protect(source, { name: 'net', version, recipients: [key], to, ...change });
const tree = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
const bigOf = (folder: string, payloadId: string): string =>
  path.join(
    folder,
    'big',
    readdirSync(path.join(folder, 'big')).find((entry) => entry.startsWith(payloadId) && !entry.endsWith('.tree')) ?? '',
  );
const age = (file: string, ms: number): void => {
  const time = new Date(Date.now() - ms);
  utimesSync(file, time, time);
};
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe('a file store', () => {
  it('lies as docs/format.md section 10 says', async () => {
    const { folder, store } = make();
    const { payloadId, smallBytes, bigBytes } = await publish(store);
    const big = bigOf(folder, payloadId);
    expect(tree(folder)).toEqual([path.relative(folder, big), `${path.relative(folder, big)}.tree`, 'small/net/1'].sort());
    expect(path.basename(big)).toMatch(/^[0-9a-f]{32}-\d+$/);
    expect(statSync(big).size).toBe(bigBytes);
    expect(statSync(path.join(folder, 'small/net/1')).size).toBe(smallBytes);
  });

  it('refuses a small part above 17 MiB before it reads it', async () => {
    const { folder, store } = make();
    await publish(store);
    writeFileSync(path.join(folder, 'small/net/1'), new Uint8Array(17 * 1024 * 1024 + 1));
    expect((await failureOf(() => store.getSmall({ name: 'net', version: '1' }))).code).toBe('LIMIT_EXCEEDED');
  });

  it('refuses to read what is no file', async () => {
    const { folder, store } = make();
    mkdirSync(path.join(folder, 'small/net/1'), { recursive: true });
    expect((await failureOf(() => store.getSmall({ name: 'net', version: '1' }))).code).toBe('SOURCE_UNSUPPORTED');
  });

  it('works without the .tree, which is optional', async () => {
    const { folder, store } = make();
    const { payloadId } = await publish(store);
    const big = bigOf(folder, payloadId);
    unlinkSync(`${big}.tree`);
    const opened = await store.openBig({ name: 'net', version: '1' }, path.basename(big));
    expect(await opened.tree()).toBeUndefined();
    await opened.close();
    (await load('net@1', { from: store, identities: [key], unsigned: 'accept' })).dispose();
  });

  it('lists only what is a model at a version', async () => {
    const { folder, store } = make();
    await publish(store);
    writeFileSync(path.join(folder, 'small/README'), 'x');
    writeFileSync(path.join(folder, `small/net/.tmp-${'0'.repeat(24)}`), 'x');
    mkdirSync(path.join(folder, 'small/net/folder'));
    const found = [];
    for await (const ref of store.list()) found.push(ref);
    expect(found).toEqual([{ name: 'net', version: '1' }]);
  });

  it('leaves nothing when a target cannot be written', async () => {
    const { folder, store } = make();
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'small'), 'in the way');
    expect((await failureOf(() => publish(store))).code).toBe('IO_FAILED');
    expect(tree(folder).filter((file) => file.includes('.tmp-'))).toEqual([]);
  });

  const ref = { name: 'net', version: '1' };
  const name = `${'5'.repeat(32)}-56`;
  const part = (more: Partial<BigPartSource> = {}): BigPartSource => ({
    size: 3,
    async *stream() {
      yield Uint8Array.of(1, 2, 3);
    },
    tree: () => Uint8Array.of(9),
    ...more,
  });
  const notes: UploadNotes = { read: async () => undefined, write: async () => undefined };

  it('writes the tree that a crash left out when a staged part is put again', async () => {
    const { folder, store } = make();
    await store.putBig(ref, name, part());
    const file = path.join(folder, 'big', `${name}.tree`);
    unlinkSync(file);
    let skipped = 0;
    await store.putBig(ref, name, part({ notes, skipped: (bytes) => (skipped += bytes) }));
    expect([readFileSync(file), skipped]).toEqual([Buffer.of(9), 3]);
  });

  it('tells a part that is stored from something else with its name', async () => {
    const { folder, store } = make();
    await store.putBig(ref, name, part());
    expect((await failureOf(() => store.putBig(ref, name, part()))).code).toBe('ALREADY_EXISTS');
    writeFileSync(path.join(folder, 'big', name), 'four');
    for (const source of [part(), part({ notes })])
      expect((await failureOf(() => store.putBig(ref, name, source))).code).toBe('IO_FAILED');
  });

  it('publishes without the tree where that cannot be written', async () => {
    const { folder, store } = make();
    mkdirSync(path.join(folder, 'big', `${name}.tree`), { recursive: true });
    await store.putBig(ref, name, part());
    expect(readFileSync(path.join(folder, 'big', name))).toEqual(Buffer.of(1, 2, 3));
    expect(readdirSync(path.join(folder, 'big')).sort()).toEqual([name, `${name}.tree`]);
  });

  it('says which folder denies access', async () => {
    const { folder, store } = make();
    mkdirSync(folder, { mode: 0o555 });
    chmodSync(base, 0o755);
    const error = await asOrdinaryUser(() => failureOf(() => publish(store)));
    expect(error.code).toBe('PERMISSION_DENIED');
    expect(error.message).toContain(folder);
  });
});

describe('collecting', () => {
  it('keeps what is referenced, however old', async () => {
    const { folder, store } = make();
    const { payloadId } = await publish(store);
    const big = bigOf(folder, payloadId);
    for (const file of [big, `${big}.tree`]) age(file, 99 * DAY);
    expect(await store.collect()).toEqual([]);
    (await load('net@1', { from: store, identities: [key], unsigned: 'accept' })).dispose();
  });

  it('removes a replaced part and its tree a grace period after it was replaced, not after it was written', async () => {
    const { folder, store } = make();
    const { payloadId } = await publish(store);
    const old = bigOf(folder, payloadId);
    for (const file of [old, `${old}.tree`]) age(file, 99 * DAY);
    await publish(store, '1', { overwrite: true });
    expect(existsSync(old)).toBe(true);
    age(old, 23 * HOUR);
    expect(await store.collect()).toEqual([]);
    age(old, 25 * HOUR);
    expect([...(await store.collect())]).toEqual([`big/${path.basename(old)}`]);
    expect(existsSync(old)).toBe(false);
    (await load('net@1', { from: store, identities: [key], unsigned: 'accept' })).dispose();
  });

  it('happens after an overwrite', async () => {
    const { folder, store } = make({ graceMs: 0 });
    const { payloadId } = await publish(store);
    const old = bigOf(folder, payloadId);
    await publish(store, '1', { overwrite: true });
    expect(existsSync(old)).toBe(false);
  });

  it('removes what a crash left, once it is old enough', async () => {
    const { folder, store } = make();
    await publish(store);
    const left = [
      `big/.tmp-${'1'.repeat(24)}`,
      `small/net/.tmp-${'2'.repeat(24)}`,
      `big/${'3'.repeat(32)}-56`,
      `big/${'3'.repeat(32)}-56.tree`,
    ];
    for (const file of left) writeFileSync(path.join(folder, file), 'x');
    expect(await store.collect()).toEqual([]);
    for (const file of left) age(path.join(folder, file), 25 * HOUR);
    expect([...(await store.collect())].sort()).toEqual([...left].sort());
  });

  it('leaves alone what it does not know', async () => {
    const { folder, store } = make({ graceMs: 0 });
    await publish(store);
    const strange = ['big/notes.txt', 'big/.tmp-short', 'small/net/README.md', `big/${'x'.repeat(32)}-56`];
    for (const file of strange) {
      writeFileSync(path.join(folder, file), 'x');
      age(path.join(folder, file), DAY);
    }
    expect(await store.collect()).toEqual([]);
  });

  it('removes no big part of a store without small parts: others may refer to them', async () => {
    const small = make();
    const big = make({ graceMs: 0 });
    await protect(source, { name: 'net', version: '1', recipients: [key], to: { small: small.store, big: big.store } });
    for (const file of tree(big.folder)) age(path.join(big.folder, file), DAY);
    expect(await big.store.collect()).toEqual([]);
    (await load('net@1', { from: { small: small.store, big: big.store }, identities: [key], unsigned: 'accept' })).dispose();
  });

  it('removes them when told what is referenced', async () => {
    const small = make();
    const big = make({ graceMs: 0 });
    const to = { small: small.store, big: big.store };
    const options = { name: 'net', recipients: [key], to };
    const kept = await protect(source, { ...options, version: '1' });
    const gone = await protect(source, { ...options, version: '2' });
    for (const file of tree(big.folder)) age(path.join(big.folder, file), DAY);
    const removed = await big.store.collect({ referenced: new Set([path.basename(bigOf(big.folder, kept.payloadId))]) });
    expect(removed.every((file) => file.includes(gone.payloadId))).toBe(true);
    expect(removed).toHaveLength(2);
  });

  it('removes no big part while a small part cannot be read', async () => {
    const { folder, store } = make({ graceMs: 0 });
    await publish(store);
    await publish(store, '2');
    writeFileSync(path.join(folder, 'small/net/1'), 'damaged');
    for (const file of tree(folder)) age(path.join(folder, file), DAY);
    expect(await store.collect()).toEqual([]);
  });

  it('does not follow links out of the store', async () => {
    const { folder, store } = make({ graceMs: 0 });
    await publish(store);
    const outside = path.join(base, 'precious');
    writeFileSync(outside, 'keep');
    symlinkSync(outside, path.join(folder, 'big', `${'4'.repeat(32)}-56`));
    expect(await store.collect()).toEqual([]);
    expect(readFileSync(outside, 'utf8')).toBe('keep');
  });
});
