/**
 * Leftovers of a crash, or of another user, in a staging folder. If these fail, damage is published, or no one can publish any
 * more.
 */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fileStore, load, MasterKey, memoryStore, type PartStore, protect, SigningKey } from '../../src/index.js';
import { startChild } from '../support/children.js';
import { failureOf } from '../support/failures.js';
import { type Piecewise, piecewise } from '../support/piecewise-store.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('staging-damage');
const random = seeded('staging damage');
const master = MasterKey.generate();
const signer = SigningKey.generate();
const PIECE = 256 * 1024;
const plain = random.bytes(3 * PIECE);
const file = path.join(base, 'net.onnx');
const original = path.join(base, 'original');
let staging: string;
let store: Piecewise;
let count = 0;

const publish = (to: PartStore, resume = staging) =>
  protect(file, { name: 'net', version: '1', recipients: [master], signer, to, resume });
const staged = (name: string): string => path.join(staging, 'net', '1', name);

/** The line is cut after two pieces. */
const cut = () => {
  let left = 2;
  return () => {
    if (left-- === 0) throw new Error('the line is cut');
  };
};

beforeAll(async () => {
  writeFileSync(file, plain);
  await failureOf(() => publish(piecewise(PIECE, cut()), original));
});

beforeEach(() => {
  staging = path.join(base, `staging-${++count}`);
  mkdirSync(staging);
  cpSync(original, staging, { recursive: true });
  store = piecewise(PIECE);
});

async function expectPublished(from: PartStore): Promise<void> {
  using model = await load('net@1', { from, identities: [master], verifier: signer.publicKey });
  expect(Buffer.from(model.bytes).equals(plain)).toBe(true);
  expect(readdirSync(staging), 'something stays staged').toEqual([]);
}

const stagedId = (): string => readFileSync(staged('small'), 'latin1').match(/"payloadId":"([0-9a-f]{32})"/)?.[1] ?? '';
const replacedByFolder = (name: string): void => {
  rmSync(staged(name));
  mkdirSync(staged(name));
};
/** Where what was staged lies now. */
function moved(): string {
  renameSync(staged(''), `${staging}-there`);
  return `${staging}-there`;
}
const flip = (name: string, at: number): void => {
  const bytes = readFileSync(staged(name));
  bytes[at] = (bytes[at] ?? 0) ^ random.mask();
  writeFileSync(staged(name), bytes);
};

describe('what is staged', () => {
  it('is published as it is where nothing is wrong with it', async () => {
    const before = stagedId();
    expect((await publish(store)).payloadId).toBe(before);
    await expectPublished(store);
  });

  it.each<[string, () => void]>([
    ['a big part that is cut short', () => truncateSync(staged('big'), 100_000)],
    ['a longer big part', () => writeFileSync(staged('big'), Buffer.concat([readFileSync(staged('big')), Buffer.alloc(1)]))],
    ['a changed byte in the big part', () => flip('big', random.integer(statSync(staged('big')).size))],
    ['no big part', () => rmSync(staged('big'))],
    ['a folder as big part', () => replacedByFolder('big')],
    ['a folder as small part', () => replacedByFolder('small')],
    ['a changed byte in the small part', () => flip('small', random.integer(statSync(staged('small')).size))],
    ['an empty small part', () => truncateSync(staged('small'))],
    ['no small part', () => rmSync(staged('small'))],
    ['a huge small part', () => truncateSync(staged('small'), 2 ** 40)],
    ['no word of its source', () => rmSync(staged('source'))],
    ['another word of its source', () => flip('source', 0)],
  ])('with %s is encrypted anew', async (_what, damage) => {
    const before = stagedId();
    damage();
    expect((await publish(store)).payloadId).not.toBe(before);
    await expectPublished(store);
  });

  it.each<[string, () => void]>([
    ['no notes', () => rmSync(staged('upload.json'))],
    ['garbage for notes', () => writeFileSync(staged('upload.json'), '{"part":')],
    ['notes of another part', () => writeFileSync(staged('upload.json'), JSON.stringify({ part: 'other', notes: 'x' }))],
    ['temporaries of a crash', () => writeFileSync(staged(`.tmp-${'0'.repeat(24)}`), 'x')],
  ])('with %s is sent from its beginning', async (_what, damage) => {
    const before = stagedId();
    damage();
    expect((await publish(store)).payloadId).toBe(before);
    await expectPublished(store);
  });

  it.each(['small', 'source'])('is not thrown away because %s cannot be read at the moment', async (name) => {
    const before = stagedId();
    const kept = `${staging}-${name}`;
    renameSync(staged(name), kept);
    // Stands for any failure of the system that is no damage.
    symlinkSync(name, staged(name));
    expect((await failureOf(() => publish(store))).code).toBe('IO_FAILED');
    renameSync(kept, staged(name));
    expect((await publish(store)).payloadId).toBe(before);
    await expectPublished(store);
  });

  it('of another publication is not published, however it got there', async () => {
    const other = path.join(base, `other-${count}`);
    const to = piecewise(PIECE, cut());
    const foreign = { name: 'net', version: '1', recipients: [master], signer: SigningKey.generate(), to, resume: other };
    await failureOf(() => protect(file, foreign));
    for (const name of ['small', 'big']) cpSync(path.join(other, 'net', '1', name), staged(name));
    await publish(store);
    await expectPublished(store);
  });
});

describe('a staging folder that others may use', () => {
  it.each<[string, () => void]>([
    ['that others may write to', () => chmodSync(staged(''), 0o720)],
    ['a link', () => symlinkSync(moved(), path.join(staging, 'net', '1'))],
    ['a file', () => copyFileSync(path.join(moved(), 'big'), path.join(staging, 'net', '1'))],
  ])('%s is refused', async (_what, change) => {
    change();
    expect((await failureOf(() => publish(store))).code).toBe('PERMISSION_DENIED');
  });
});

describe('a process that is killed while it sends', () => {
  it('lets go of the folder, and the next one sends what it had encrypted', async () => {
    rmSync(staged(''), { recursive: true });
    const key = path.join(base, 'master');
    const signing = path.join(base, 'signing');
    await master.save(key);
    await signer.save(signing);
    const target = path.join(base, `store-${count}`);
    const child = startChild('publish-staged.ts', { args: [file, staging, target, key, signing] });
    await child.waitFor('sending');
    expect((await failureOf(() => publish(memoryStore()))).code, 'two may send at once').toBe('IN_USE');
    await child.kill();
    const before = stagedId();
    const to = fileStore(target);
    expect((await publish(to)).payloadId).toBe(before);
    await expectPublished(to);
  });
});
