/**
 * The package in a context of its own, as under jest: errors, promises, arrays and signals come from another one, and `instanceof` is false
 * of each. If this fails, the test suites of users fail, with codes that are wrong.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import fs, { type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { deviceIdOf } from '../src/contract/index.js';
import { FakeGuard } from './support/fake-guard.js';
import { FakeS3 } from './support/fake-s3.js';
import { loadInRealm } from './support/realm.js';
import { projectRoot } from './support/shared.js';
import { temporaryFolder } from './support/temp.js';

const base = temporaryFolder('realms');
const file = path.join(base, 'net.onnx');
const plain = Buffer.alloc(300_000, 7);
writeFileSync(file, plain);

/** As Yarn's Plug'n'Play patches Node: its handles lack four methods, and before Yarn 4.12 they read into nothing but a Buffer. */
const absent = (): never => {
  throw new Error('Method not implemented.');
};
const patched = {
  ...fs,
  open: async (...given: Parameters<typeof fs.open>): Promise<FileHandle> => {
    const handle = await fs.open(...given);
    const read = handle.read.bind(handle) as (...given: readonly unknown[]) => unknown;
    return Object.assign(handle, {
      sync: absent,
      datasync: absent,
      utimes: absent,
      readv: absent,
      read: async (into: unknown, ...more: readonly unknown[]) => {
        if (!Buffer.isBuffer(into)) throw new TypeError('The "buffer" argument must be an instance of Buffer');
        return await read(into, ...more);
      },
    });
  },
};

const guard = loadInRealm({ 'fs/promises': patched });
/** Where `using` looks once it is compiled, in a context without the symbol. */
const DISPOSE = Symbol.for('Symbol.dispose');

describe("in a context of its own, over the file handles of Yarn's Plug'n'Play,", () => {
  it('the package has other classes than this file', async () => {
    const error: unknown = await guard.SigningKey.fromFile(path.join(base, 'absent')).catch((caught: unknown) => caught);
    expect(error).not.toBeInstanceOf(Error);
    expect(error).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('a model goes into a folder and comes back', async () => {
    const [device, publisher] = [guard.DeviceKey.generate(), guard.SigningKey.generate()];
    const to = guard.fileStore(path.join(base, 'store'));
    await guard.protect(file, { name: 'net', version: '1', recipients: [device.publicKey], signer: publisher, to });
    const model = await guard.load('net@1', { from: to, identities: [device], verifier: publisher.publicKey });
    expect(Buffer.compare(model.bytes, plain)).toBe(0);
    (Reflect.get(model, DISPOSE) as () => void).call(model);
    expect(() => model.bytes).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
  });

  it('bytes of another context are taken', async () => {
    const key = guard.MasterKey.generate();
    const sealed = await guard.encrypt(new Uint8Array(1000).fill(3), { name: 'net', version: '1', recipients: [key] });
    const model = await guard.decrypt(Uint8Array.from(sealed), { identities: [key], unsigned: 'accept' });
    expect([...model.bytes.subarray(0, 3)]).toEqual([3, 3, 3]);
    model.dispose();
  });

  it('what the addon refuses has its code and a stack', async () => {
    const sealed = await guard.encrypt(new Uint8Array(1000), {
      name: 'net',
      version: '1',
      recipients: [guard.MasterKey.generate()],
    });
    const error: unknown = await guard
      .decrypt(sealed, { identities: [guard.MasterKey.generate()], unsigned: 'accept' })
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'NO_MATCHING_IDENTITY', stack: expect.stringContaining('.cjs') });
  });

  it('a missing model is NOT_FOUND', async () => {
    const from = guard.fileStore(path.join(base, 'empty'));
    const loading = guard.load('net@1', { from, identities: [guard.MasterKey.generate()], unsigned: 'accept' });
    await expect(loading).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('a server that is not there is told with the reason of the network', async () => {
    const gone = await new FakeS3().listen();
    const { endpoint } = gone;
    await gone.close();
    const loading = guard.load('net@1', {
      from: guard.httpStore(endpoint),
      identities: [guard.MasterKey.generate()],
      unsigned: 'accept',
    });
    await expect(loading).rejects.toMatchObject({
      code: 'SERVER_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('a signal of another context aborts', async () => {
    const signal = AbortSignal.abort();
    const loading = guard.protect(file, {
      name: 'net',
      version: '2',
      recipients: [guard.MasterKey.generate()],
      to: guard.memoryStore(),
      signal,
    });
    await expect(loading).rejects.toMatchObject({ code: 'ABORT_ERR', cause: signal.reason });
  });

  it('a model goes into a bucket and comes back, by keys that end on a date of another context', async () => {
    const server = await new FakeS3().listen();
    try {
      const store = guard.s3Store({
        bucket: 'models',
        endpoint: server.endpoint,
        credentials: { accessKeyId: 'id', secretAccessKey: 'key', expiration: new Date(Date.now() + 3_600_000) },
      });
      const key = guard.MasterKey.generate();
      await guard.protect(file, { name: 'net', version: '1', recipients: [key], to: store });
      const cache = { folder: path.join(base, 'cache') };
      for (const answers of ['the bucket', 'the cache']) {
        server.asked.length = 0;
        const model = await guard.load('net@1', { from: store, identities: [key], unsigned: 'accept', cache });
        expect(model.bytes.length).toBe(plain.length);
        model.dispose();
        expect(server.count('GET', 'big/') > 0, answers).toBe(answers === 'the bucket');
      }
    } finally {
      await server.close();
    }
  });

  it('a model comes from a guard server', async () => {
    const server = await new FakeGuard().listen();
    try {
      await server.publish('net', '1', 1, plain);
      const device = guard.DeviceKey.generate();
      const publicKey = device.publicKey.toString();
      server.devices.set(deviceIdOf(publicKey), publicKey);
      const from = guard.guardServer({
        url: server.url,
        serverKey: server.serverKey,
        credentials: () => ({ email: 'a@example.com', password: 'the password of a test' }),
        publishers: server.publisher.publicKey.toString(),
        device,
        state: path.join(base, 'state'),
      });
      const model = await guard.load('net@1', { from });
      expect(Buffer.compare(model.bytes, plain)).toBe(0);
      model.dispose();
    } finally {
      await server.close();
    }
  });
});

describe('the sources', () => {
  const sources = readdirSync(path.join(projectRoot, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const matching = (pattern: RegExp): string[] =>
    sources.filter((name) => pattern.test(readFileSync(path.join(projectRoot, 'src', name), 'utf8')));

  const classes =
    /\binstanceof (Error|TypeError|RangeError|Promise|Date|RegExp|Map|Set|(Shared)?ArrayBuffer|\w+Array|Buffer|Abort\w+|URL|DOMException)\b/;

  it('ask no value for a class that each context has one of', () => {
    expect(sources.length).toBeGreaterThan(100);
    expect(matching(classes)).toEqual([]);
  });

  it('use the methods of file handles that differ in one place alone', () => {
    expect(matching(/[hH]andle\.(read|readv|sync|datasync|utimes)\(/)).toEqual(['files/files.ts']);
  });
});
