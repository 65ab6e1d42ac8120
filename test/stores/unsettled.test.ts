/** Stores of others whose promises never settle, or fail at the end. If these fail, a caller cannot leave, or loses a model that was loaded. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  load,
  MasterKey,
  memoryStore,
  type OpenBigPart,
  type PartStore,
  protect,
  SigningKey,
  verifyAuditLog,
} from '../../src/index.js';
import { auditKey, checkpointAt, sampleLog } from '../support/audit-log.js';
import { failureOf } from '../support/failures.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('unsettled');
const random = seeded('unsettled');
const plain = random.bytes(300_000);
const file = path.join(base, 'net.onnx');
writeFileSync(file, plain);
const key = MasterKey.generate();
const signer = SigningKey.generate();
const opening = { identities: [key], verifier: signer.publicKey, cache: false } as const;
const sealing = { name: 'net', version: '1', recipients: [key], signer } as const;
const inner = memoryStore();
await protect(file, { ...sealing, to: inner });
afterEach(() => {
  vi.useRealTimers();
});

/** Aborts once something that never settles has been called. */
function never<T>(controller: AbortController): () => Promise<T> {
  return () => {
    setImmediate(() => controller.abort(new Error('enough')));
    return new Promise(() => undefined);
  };
}

/** The model of `inner`, read over a network, with parts of its store replaced. */
const remote = (store: Partial<PartStore>, part: Partial<OpenBigPart> = {}): PartStore => ({
  getSmall: (...args) => inner.getSmall(...args),
  async openBig(...args) {
    const opened = await inner.openBig(...args);
    const own = { read: opened.read.bind(opened), tree: () => opened.tree(), close: () => opened.close() };
    return { size: opened.size, remote: true, ...own, ...part };
  },
  putSmall: async () => undefined,
  putBig: async (_ref, _name, source) => {
    for await (const _ of source.stream());
    source.tree();
  },
  async *list() {},
  collect: async () => [],
  ...store,
});

describe('a load that is aborted', () => {
  it.each<[string, (wait: () => Promise<never>) => PartStore, string?]>([
    ['getSmall', (getSmall) => remote({ getSmall })],
    ['openBig', (openBig) => remote({ openBig })],
    ['defaults', (defaults) => remote({ defaults })],
    ['latest', (latest) => remote({ latest }), 'net'],
    ['tree', (tree) => remote({}, { tree })],
    ['read', (read) => remote({}, { read })],
    ['read and close', (wait) => remote({}, { read: wait, close: wait })],
  ])('does not wait for a %s that never settles', async (_, make, ref = 'net@1') => {
    const controller = new AbortController();
    const store = make(never<never>(controller));
    const error = await failureOf(() => load(ref, { ...opening, from: store, signal: controller.signal }));
    expect([error.code, error.cause]).toEqual(['ABORT_ERR', controller.signal.reason]);
  });

  it('closes a big part that is opened afterwards', async () => {
    const controller = new AbortController();
    let open = (_: OpenBigPart): void => undefined;
    const wait = never<OpenBigPart>(controller);
    const openBig = (): Promise<OpenBigPart> => {
      void wait();
      return new Promise((resolve) => {
        open = resolve;
      });
    };
    await failureOf(() => load('net@1', { ...opening, from: remote({ openBig }), signal: controller.signal }));
    await new Promise<void>((closed) => {
      open({ size: 1, read: async () => new Uint8Array(), tree: async () => undefined, close: async () => closed() });
    });
  });
});

describe('a load whose part does not close', () => {
  const expectLoaded = async (store: PartStore, signal?: AbortSignal): Promise<void> => {
    using model = await load('net@1', { ...opening, from: store, signal });
    expect(Buffer.from(model.bytes).equals(plain)).toBe(true);
  };

  it('gives the model all the same where closing fails', async () => {
    await expectLoaded(remote({}, { close: async () => Promise.reject(new Error('it does not close')) }));
    await expectLoaded(
      remote(
        {},
        {
          close: () => {
            throw new Error('it does not close');
          },
        },
      ),
    );
  });

  it('gives it once the caller will not wait, and after five seconds without a signal', async () => {
    const controller = new AbortController();
    await expectLoaded(remote({}, { close: never(controller) }), controller.signal);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const close = (): Promise<void> => {
      setImmediate(() => vi.advanceTimersByTime(5_000));
      return new Promise(() => undefined);
    };
    await expectLoaded(remote({}, { close }));
  });
});

describe('a publication that is aborted', () => {
  const publishing = (store: Partial<PartStore>, controller: AbortController, more: object = {}) =>
    protect(file, {
      ...sealing,
      version: '2',
      to: remote({ getSmall: async () => Promise.reject(notThere()), ...store }),
      signal: controller.signal,
      ...more,
    });
  const notThere = (): Error => Object.assign(new Error('not there'), { name: 'ModelGuardError', code: 'NOT_FOUND' });

  it.each(['published', 'localTarget', 'defaults'] as const)('does not wait for a %s that never settles', async (method) => {
    const controller = new AbortController();
    const error = await failureOf(() =>
      publishing({ published: async () => undefined, [method]: never(controller) }, controller, {
        ...(method === 'defaults' && { recipients: undefined }),
      }),
    );
    expect(error.code).toBe('ABORT_ERR');
  });

  it.each(['putBig', 'putSmall'] as const)('gives a %s five seconds to clean up', async (method) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const controller = new AbortController();
    let passed = 0;
    controller.signal.addEventListener('abort', () => {
      const pass = (): void => {
        vi.advanceTimersByTime(1_000);
        passed += 1;
        if (passed < 5) setImmediate(pass);
      };
      setImmediate(pass);
    });
    const error = await failureOf(() =>
      publishing({ published: async () => undefined, [method]: never(controller) }, controller),
    );
    expect([error.code, passed]).toEqual(['ABORT_ERR', 5]);
  });

  it('is published where only tidying up afterwards never ends', async () => {
    const controller = new AbortController();
    const store = { published: async () => undefined, collect: never<readonly string[]>(controller) };
    expect(await publishing(store, controller, { overwrite: true })).toMatchObject({ ref: 'net@2', state: 'released' });
  });
});

it('an audit log that comes in pieces is left when the next piece never comes', async () => {
  const controller = new AbortController();
  const pieces = { [Symbol.asyncIterator]: () => ({ next: never<IteratorResult<Uint8Array>>(controller) }) };
  const checkpoint = checkpointAt(sampleLog(random, 1), 1);
  const error = await failureOf(() => verifyAuditLog(pieces, { checkpoint, key: auditKey.publicKey, signal: controller.signal }));
  expect(error.code).toBe('ABORT_ERR');
});
