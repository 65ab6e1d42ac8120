/** An aborted call stops within a batch, says so in one way, and leaves neither memory nor files behind. */
import { randomFillSync } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decrypt, encrypt, fileStore, load, memoryStore, type PartStore, protect } from '../../src/index.js';
import { handleOf } from '../../src/keys/key.js';
import { call } from '../../src/native/index.js';
import { same } from '../reference/bytes.js';
import { parseHeader } from '../reference/header.js';
import { collectGarbage } from '../support/garbage.js';
import { hooked, type Operation } from '../support/hooked-store.js';
import { type Keyring, makeKeyring } from '../support/keyring.js';
import { print } from '../support/print.js';
import { plaintextBytes } from '../support/process-memory.js';
import { seeded } from '../support/seed.js';
import { takeParts } from '../support/table-store.js';
import { temporaryFolder } from '../support/temp.js';

const MIB = 2 ** 20;
const SIZE = 24 * MIB;
const folder = temporaryFolder('abort');
const random = seeded('abort');
const source = path.join(folder, 'model.bin');
const storeFolder = path.join(folder, 'store');
let keys: Keyring;
let store: PartStore;
let before = 0;

beforeAll(async () => {
  keys = await makeKeyring(folder, random);
  writeFileSync(source, randomFillSync(new Uint8Array(SIZE)));
  store = fileStore(storeFolder, { graceMs: 0 });
  await protect(source, { name: 'net', version: '1', recipients: [keys.master], to: store });
});

beforeEach(async () => {
  await collectGarbage();
  before = plaintextBytes(process.pid);
});

const opening = () => ({ identities: [keys.master], unsigned: 'accept' }) as const;
const sealing = () => ({ name: 'net', version: '1', recipients: [keys.master], overwrite: true });

async function failure(run: () => Promise<unknown>): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  return 'it resolved';
}

function expectAbort(error: unknown, reason: unknown, what: string): void {
  expect(error, `${what} rejects with something else`).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
  expect(error instanceof Error ? error.cause : undefined, `${what} does not carry the signal's reason`).toBe(reason);
}

async function expectFreed(what: string): Promise<void> {
  await collectGarbage();
  expect(plaintextBytes(process.pid), `${what} keeps plaintext memory`).toBe(before);
}

/** The store's files with their names; that is all that may be compared, since readers do not change them. */
const listing = (): string => readdirSync(storeFolder, { recursive: true, encoding: 'utf8' }).sort().join('\n');

describe('an aborted load', () => {
  const batches = Math.ceil(SIZE / MIB);
  const moments: readonly (readonly [string, Operation, number])[] = [
    ['while the small part is fetched', 'getSmall', 1],
    ['while the big part is opened', 'openBig', 1],
    ['at the first read', 'read', 1],
    ['at the second read', 'read', 2],
    ['half-way', 'read', Math.floor(batches / 2)],
    ['at the last read', 'read', batches],
  ];

  it.for(moments)('%s rejects as an abort and frees its memory', async ([what, operation, count]) => {
    const controller = new AbortController();
    const reason = new Error(what);
    const threads = 2;
    let reads = 0;
    let after = 0;
    const from = hooked(
      store,
      (now, times) => {
        if (now === 'read') reads += 1;
        if (now === 'read' && controller.signal.aborted) after += 1;
        if (now === operation && times === count) controller.abort(reason);
      },
      { streamed: true },
    );
    const error = await failure(() => load('net@1', { from, ...opening(), threads, signal: controller.signal }));
    expectAbort(error, reason, what);
    expect(after, 'reads that were issued after the abort').toBeLessThanOrEqual(threads);
    await expectFreed(what);
    print(`abort of a load ${what}: ${reads} reads of about ${batches}, ${after} of them after the abort`);
  });

  it('before it began does nothing at all', async () => {
    const signal = AbortSignal.abort('no reason to begin');
    const from = hooked(store, (operation) => expect.unreachable(`${operation} was called`));
    const error = await failure(() => load('net@1', { from, ...opening(), signal }));
    expectAbort(error, 'no reason to begin', 'a load that was aborted before');
    await expectFreed('a load that was aborted before');
  });

  it('from a file, and of bytes, ends the same way', async () => {
    const containerPlain = randomFillSync(new Uint8Array(SIZE));
    const container = await encrypt(containerPlain, { recipients: [keys.master] });
    for (const [what, run] of [
      ['load from a file', (signal: AbortSignal) => load('net@1', { from: store, ...opening(), signal })],
      ['decrypt', (signal: AbortSignal) => decrypt(container, { ...opening(), signal })],
      ['encrypt', (signal: AbortSignal) => encrypt(containerPlain, { recipients: [keys.master], signal })],
    ] as const) {
      const controller = new AbortController();
      const running = failure(() => run(controller.signal));
      await Promise.resolve();
      controller.abort(what);
      expectAbort(await running, what, what);
      await expectFreed(what);
    }
  });

  it('that comes after the end changes nothing', async () => {
    const controller = new AbortController();
    using model = await load('net@1', { from: store, ...opening(), signal: controller.signal });
    controller.abort();
    expect(model.bytes.length).toBe(SIZE);
  });

  it('by what onProgress throws rejects with that, and frees its memory', async () => {
    const thrown = new Error('no more, thanks');
    const onProgress = (): void => {
      throw thrown;
    };
    const error = await failure(() => load('net@1', { from: store, ...opening(), onProgress }));
    expect(error).toBe(thrown);
    await expectFreed('a load whose progress callback threw');
  });
});

describe('each engine thread', () => {
  const handle = () => {
    const found = handleOf(keys.master);
    if (found === undefined) throw new Error('a key has a handle');
    return found;
  };

  it.for([1, 2, 4])('of %i finishes at most one batch of a load after the cancellation', async (threads) => {
    const to = memoryStore();
    const { payloadId } = await protect(source, { ...sealing(), to });
    const ref = { name: 'net', version: '1' };
    const first = await to.getSmall(ref);
    const { small, big } = await takeParts(to, ref, `${payloadId}-${first.length - parseHeader(first).length}`);
    const trust = { publishers: [] };
    const opened = await call((native) => native.open({ small, identities: [handle()], trust }));
    const control = call((native) => native.control());
    let reads = 0;
    let done = -1;
    const read = async (offset: number, length: number): Promise<Uint8Array> => {
      reads += 1;
      if (reads === 8) {
        done = control.done();
        control.cancel();
      }
      return big.slice(offset, offset + length);
    };
    const error = await failure(() => opened.load({ read, size: big.length }, { control, threads }));
    expect(error).toMatchObject({ code: 'ABORT_ERR' });
    const batches = (control.done() - done) / MIB;
    print(`abort: ${threads} threads finished ${batches} batches of a load after the cancellation`);
    expect(done, 'the cancellation came before anything was done').toBeGreaterThan(0);
    expect(batches, 'batches finished after the cancellation').toBeLessThanOrEqual(threads);
    await expectFreed('a cancelled load');
  });

  it.for([1, 2])('of %i finishes at most one batch of a protect after the cancellation', async (threads) => {
    const sealer = await call((native) =>
      native.seal({
        name: 'net',
        version: '1',
        format: 'raw',
        created: '2024-01-01T00:00:00Z',
        inputs: [{ path: 'model.bin', onDisk: source }],
        recipients: [{ key: handle() }],
      }),
    );
    const control = call((native) => native.control());
    const target = path.join(folder, `cancelled-${threads}`);
    const running = failure(() => sealer.encryptToFile(target, 56, 0, { control, threads }));
    // Cancelled before this thread lets go: what is done by then, and one batch a thread more, is all that may happen.
    const done = control.done();
    control.cancel();
    expect(await running).toMatchObject({ code: 'ABORT_ERR' });
    const batches = (control.done() - done) / MIB;
    print(`abort: ${threads} threads finished ${batches} batches of a protect after the cancellation`);
    expect(batches, 'batches finished after the cancellation').toBeLessThanOrEqual(threads);
    expect(readdirSync(folder), 'a cancelled protect leaves its file').not.toContain(path.basename(target));
  });
});

describe('an aborted protect', () => {
  const moments: readonly (readonly [string, Operation, number, boolean])[] = [
    ['when it asks for a place', 'localTarget', 1, false],
    ['when the big part is stored', 'putBig', 1, false],
    ['when the big part is streamed', 'putBig', 1, true],
    ['at the first piece', 'piece', 1, true],
    ['at the third piece', 'piece', 3, true],
    ['when the small part is about to be published', 'putSmall', 1, false],
  ];

  it.for(moments)('%s leaves the old model, and nothing astray', async ([what, operation, count, streamed]) => {
    const controller = new AbortController();
    const reason = { what };
    const files = listing();
    const abort = (now: Operation, times: number): void => {
      if (now === operation && times === count) controller.abort(reason);
    };
    const to = hooked(store, abort, { streamed });
    const error = await failure(() => protect(source, { ...sealing(), to, signal: controller.signal }));
    expectAbort(error, reason, `a protect aborted ${what}`);
    // A big part that was stored already stays until the store collects it, since a store may not remove what it was given.
    if (operation === 'putSmall') expect((await store.collect()).length, 'the unpublished big part cannot be collected').toBe(2);
    expect(listing(), `a protect aborted ${what} leaves something in the store`).toBe(files);
    using model = await load('net@1', { from: store, ...opening() });
    expect(model.bytes.length, 'the old model does not load any more').toBe(SIZE);
  });

  it('before it began asks nothing of the store', async () => {
    const to = hooked(store, (operation) => expect.unreachable(`${operation} was called`));
    const signal = AbortSignal.abort();
    expectAbort(await failure(() => protect(source, { ...sealing(), to, signal })), signal.reason, 'protect');
  });

  it('can be repeated with success', async () => {
    await protect(source, { ...sealing(), to: store });
    using model = await load('net@1', { from: store, ...opening() });
    using again = await load('net@1', { from: store, ...opening() });
    expect(same(model.bytes, again.bytes)).toBe(true);
  });
});
