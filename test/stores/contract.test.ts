/** The promises of every PartStore, for each store of this package and for a pair of them. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type BigPartSource,
  fileStore,
  type ModelRef,
  memoryStore,
  type OpenBigPart,
  type PartStore,
  s3Store,
} from '../../src/index.js';
import { ObjectStore } from '../../src/stores/object/store.js';
import { failureOf } from '../support/failures.js';
import { FakeS3 } from '../support/fake-s3.js';
import { MemoryObjects } from '../support/memory-objects.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('stores');
let count = 0;
const server = new FakeS3();
beforeAll(() => server.listen());
afterAll(() => server.close());
const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' };
const MAKERS: readonly [string, () => PartStore][] = [
  ['memoryStore', memoryStore],
  ['fileStore', () => fileStore(path.join(folder, `store-${count++}`))],
  [
    'a store over an object storage',
    () => new ObjectStore(new MemoryObjects(), { prefix: '', pieceBytes: 5 * 2 ** 20, timeoutMs: 30_000, graceMs: 86_400_000 }),
  ],
  ['s3Store', () => s3Store({ bucket: 'models', prefix: `store-${count++}`, endpoint: server.endpoint, credentials })],
];

const ref = { name: 'net', version: '1' };
const bytes = (...values: number[]) => Uint8Array.from(values);
const name = (digit: string, offset = 100) => `${digit.repeat(32)}-${offset}`;

function part(pieces: readonly Uint8Array[], change: Partial<BigPartSource> = {}): BigPartSource {
  return {
    size: pieces.reduce((sum, piece) => sum + piece.length, 0),
    async *stream() {
      yield* pieces;
    },
    tree: () => bytes(9, 9),
    ...change,
  };
}

async function readOf(big: OpenBigPart, offset: number, length: number): Promise<Uint8Array> {
  const read = await big.read(offset, length);
  return read instanceof Uint8Array ? read : Buffer.concat(read);
}

async function refs(store: PartStore): Promise<ModelRef[]> {
  const found: ModelRef[] = [];
  for await (const one of store.list()) found.push(one);
  return found.sort((a, b) => `${a.name}@${a.version}`.localeCompare(`${b.name}@${b.version}`));
}

describe.each(MAKERS)('%s', (_, make) => {
  it('gives back the small part that was put, as a copy', async () => {
    const store = make();
    const put = bytes(1, 2, 3);
    await store.putSmall(ref, put);
    put.fill(0);
    const got = await store.getSmall(ref);
    expect([...got]).toEqual([1, 2, 3]);
    got.fill(0);
    expect([...(await store.getSmall(ref))]).toEqual([1, 2, 3]);
  });

  it('gives back the big part that was put, any range of it, and its tree', async () => {
    const store = make();
    await store.putBig(ref, name('a'), part([bytes(1, 2), bytes(), bytes(3, 4, 5)]));
    const big = await store.openBig(ref, name('a'));
    expect(big.size).toBe(5);
    expect([...(await readOf(big, 0, 5))]).toEqual([1, 2, 3, 4, 5]);
    expect([...(await readOf(big, 1, 3))]).toEqual([2, 3, 4]);
    expect([...((await big.tree()) ?? [])]).toEqual([9, 9]);
    await big.close();
    await big.close();
  });

  it('says which part is missing', async () => {
    const store = make();
    expect(await failureOf(() => store.getSmall(ref))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(/small part of net@1/),
    });
    expect(await failureOf(() => store.openBig(ref, name('a')))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(/big part/i),
    });
  });

  it('replaces a small part, unless it must be absent', async () => {
    const store = make();
    await store.putSmall(ref, bytes(1), { ifAbsent: true });
    expect(await failureOf(() => store.putSmall(ref, bytes(2), { ifAbsent: true }))).toMatchObject({
      code: 'ALREADY_EXISTS',
      message: expect.stringMatching(/net@1/),
    });
    expect([...(await store.getSmall(ref))]).toEqual([1]);
    await store.putSmall(ref, bytes(3));
    expect([...(await store.getSmall(ref))]).toEqual([3]);
  });

  it('lets exactly one of many racing writers publish', async () => {
    const store = make();
    const results = await Promise.allSettled(
      Array.from({ length: 16 }, (__, index) => store.putSmall(ref, bytes(index), { ifAbsent: true })),
    );
    const won = results.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []));
    expect(won).toHaveLength(1);
    expect([...(await store.getSmall(ref))]).toEqual(won);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  it('takes a big part whole or not at all', async () => {
    const store = make();
    const broken = new Error('the source broke');
    const failing = part([bytes(1)], {
      size: 2,
      async *stream() {
        yield bytes(1);
        throw broken;
      },
    });
    await expect(store.putBig(ref, name('a'), failing)).rejects.toBe(broken);
    expect((await failureOf(() => store.putBig(ref, name('b'), part([bytes(1)], { size: 2 })))).code).toBe('IO_FAILED');
    expect((await failureOf(() => store.putBig(ref, name('c'), part([bytes(1, 2)], { size: 1 })))).code).toBe('IO_FAILED');
    for (const digit of ['a', 'b', 'c']) expect((await failureOf(() => store.openBig(ref, name(digit)))).code).toBe('NOT_FOUND');
    await store.putBig(ref, name('a'), part([bytes(1)]));
  });

  it('never uses the name of a big part again', async () => {
    const store = make();
    await store.putBig(ref, name('a'), part([bytes(1)]));
    expect((await failureOf(() => store.putBig(ref, name('a'), part([bytes(2)])))).code).toBe('ALREADY_EXISTS');
    const big = await store.openBig(ref, name('a'));
    expect([...(await readOf(big, 0, 1))]).toEqual([1]);
    await big.close();
  });

  it('copies a part that lies in a file of others, which stays', async () => {
    const store = make();
    const file = path.join(folder, `staged-${count++}`);
    writeFileSync(file, bytes(4, 5));
    await store.putBig(ref, name('a'), part([bytes(4, 5)], { file }));
    writeFileSync(file, bytes(0, 0));
    const big = await store.openBig(ref, name('a'));
    expect([...(await readOf(big, 0, 2))]).toEqual([4, 5]);
    await big.close();
  });

  it('lists what is published', async () => {
    const store = make();
    expect(await refs(store)).toEqual([]);
    for (const one of [ref, { name: 'net', version: '2' }, { name: 'other', version: '1' }]) await store.putSmall(one, bytes(1));
    await store.putBig(ref, name('a'), part([bytes(1)]));
    expect(await refs(store)).toEqual([ref, { name: 'net', version: '2' }, { name: 'other', version: '1' }]);
  });

  it.each(['..', '.', '', 'a/b', '../x', 'A', '.tmp', 'a\0', '/etc', 'a\\b', 'x'.repeat(129)])(
    'refuses the name %j',
    async (bad) => {
      const store = make();
      for (const wrong of [
        { name: bad, version: '1' },
        { name: 'net', version: bad },
      ]) {
        expect((await failureOf(() => store.getSmall(wrong))).code).toBe('NAME_INVALID');
        expect((await failureOf(() => store.putSmall(wrong, bytes(1)))).code).toBe('NAME_INVALID');
        expect((await failureOf(() => store.putBig(wrong, name('a'), part([bytes(1)])))).code).toBe('NAME_INVALID');
      }
    },
  );

  it.each([
    '../x',
    `${'a'.repeat(32)}`,
    `${'A'.repeat(32)}-1`,
    `${'a'.repeat(32)}-01`,
    `${'a'.repeat(32)}-1/..`,
    `${'a'.repeat(32)}-1.tree`,
    '',
  ])('refuses %j as name of a big part', async (bad) => {
    const store = make();
    expect((await failureOf(() => store.openBig(ref, bad))).code).toBe('INVALID_ARGUMENT');
    expect((await failureOf(() => store.putBig(ref, bad, part([bytes(1)])))).code).toBe('INVALID_ARGUMENT');
  });

  it('refuses a small part above 17 MiB', async () => {
    const store = make();
    expect((await failureOf(() => store.putSmall(ref, new Uint8Array(17 * 1024 * 1024 + 1)))).code).toBe('LIMIT_EXCEEDED');
  });

  it('stops when the signal says so', async () => {
    const store = make();
    await store.putSmall(ref, bytes(1));
    await store.putBig(ref, name('a'), part([bytes(1)]));
    const big = await store.openBig(ref, name('a'));
    const reason = new Error('enough');
    const signal = AbortSignal.abort(reason);
    const during = new AbortController();
    const stopping = part([bytes(1)], {
      async *stream() {
        yield bytes(1);
        during.abort(reason);
        yield bytes(2);
      },
    });
    for (const run of [
      () => store.getSmall(ref, { signal }),
      () => store.putSmall({ name: 'net', version: '2' }, bytes(1), { signal }),
      () => store.putBig(ref, name('b'), part([bytes(1)]), { signal }),
      () => store.putBig(ref, name('c'), stopping, { signal: during.signal }),
      () => store.openBig(ref, name('a'), { signal }),
      () => big.read(0, 1, { signal }),
      () => store.collect({ signal }),
      async () => {
        for await (const __ of store.list({ signal }));
      },
    ])
      expect(await failureOf(run)).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason });
    await big.close();
    expect(await refs(store)).toEqual([ref]);
    for (const digit of ['b', 'c']) expect((await failureOf(() => store.openBig(ref, name(digit)))).code).toBe('NOT_FOUND');
  });
});
