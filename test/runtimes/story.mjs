// One story that every JavaScript runtime must tell alike, on the installed package: `RUNTIME story.mjs`, in a folder where
// '@org/model-guard' resolves. STORY_GUARD, optional, is JSON of a running guard server: {url, serverKey, passwordFile}; its first administrator
// must not have logged in yet. Prints a line of JSON: who ran it, and the milliseconds of each chapter. Ends with 1 at the first wrong turn.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import {
  DeviceKey,
  decrypt,
  encrypt,
  fileStore,
  guardServer,
  load,
  MasterKey,
  memoryStore,
  protect,
  SigningKey,
  versions,
} from '@org/model-guard';

/** Bytes that no compressor and no zeroed page produces. */
function weights(size) {
  const bytes = new Uint8Array(size);
  for (let at = 0, state = 7; at < size; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}
const same = (a, b) => Buffer.compare(a, b) === 0;
const codeOf = (task) =>
  task.then(
    () => 'nothing was refused',
    (error) => error.code ?? error.name,
  );

/** In a worker: loads the model that the main thread has published, and uses it there. */
async function asWorker({ store, identity, verifier, size }) {
  const key = await DeviceKey.fromFile(identity);
  const model = await load('net@1', { from: fileStore(store), identities: [key], verifier });
  assert.ok(same(model.bytes, weights(size)));
  model.dispose();
}

async function tell() {
  const folder = mkdtempSync(join(tmpdir(), 'model-guard-story-'));
  const at = (name) => join(folder, name);
  const size = 3_000_000;
  const plain = weights(size);
  writeFileSync(at('net.onnx'), plain);
  const store = fileStore(at('store'));
  const signer = SigningKey.generate();
  const verifier = signer.publicKey;
  const device = DeviceKey.generate();
  await device.save(at('device.key'));
  const from = { from: store, identities: [device], verifier };
  const chapters = {};
  const chapter = async (name, task) => {
    const start = performance.now();
    await task();
    chapters[name] = Math.round(performance.now() - start);
  };

  await chapter('protect', () =>
    protect(at('net.onnx'), { name: 'net', version: '1', recipients: [device.publicKey], signer, to: store }),
  );
  await chapter('load, read, dispose', async () => {
    const model = await load('net@1', from);
    const { bytes } = model;
    assert.ok(same(bytes, plain));
    assert.equal(model.metadata.name, 'net');
    model.dispose();
    assert.ok(bytes.every((byte) => byte === 0));
    assert.throws(() => model.bytes, { code: 'DISPOSED' });
  });
  await chapter('forgotten models', async () => {
    for (let count = 0; count < 20; count++) await load('net@1', from);
    globalThis.gc?.();
  });
  await chapter('refusals', async () => {
    const stranger = SigningKey.generate();
    assert.equal(await codeOf(load('net@1', { ...from, verifier: stranger.publicKey })), 'SIGNATURE_INVALID');
    assert.equal(await codeOf(load('net@1', { ...from, identities: [DeviceKey.generate()] })), 'NO_MATCHING_IDENTITY');
    assert.equal(await codeOf(load('net@2', from)), 'NOT_FOUND');
    const key = MasterKey.generate();
    const sealed = await encrypt(plain, { name: 'm', version: '1', recipients: [key] });
    for (const position of [5, 200, sealed.length >> 1, sealed.length - 1]) {
      const wrong = sealed.slice();
      wrong[position] ^= 1;
      assert.notEqual(await codeOf(decrypt(wrong, { identities: [key], unsigned: 'accept' })), 'nothing was refused');
    }
  });
  await chapter('abort', async () => {
    assert.equal(await codeOf(load('net@1', { ...from, signal: AbortSignal.abort() })), 'ABORT_ERR');
    const controller = new AbortController();
    const loading = load('net@1', { ...from, signal: controller.signal });
    controller.abort(); // its files are not open yet
    assert.equal(await codeOf(loading), 'ABORT_ERR');
  });
  await chapter('folder', async () => {
    mkdirSync(at('model/onnx'), { recursive: true });
    writeFileSync(at('model/config.json'), '{}');
    writeFileSync(at('model/onnx/net.onnx'), plain);
    const parts = memoryStore();
    await protect(at('model'), { name: 'folder', version: '1', recipients: [device.publicKey], signer, to: parts });
    const model = await load('folder@1', { ...from, from: parts });
    assert.deepEqual([...model.files.keys()].sort(), ['config.json', 'onnx/net.onnx']);
    assert.ok(same(model.files.get('onnx/net.onnx').bytes, plain));
    model.dispose();
  });
  await chapter('two workers', async () => {
    const data = { store: at('store'), identity: at('device.key'), verifier: verifier.toString(), size };
    const ended = [0, 1].map(
      () =>
        new Promise((done, failed) => {
          const worker = new Worker(new URL(import.meta.url), { workerData: data });
          worker.on('error', failed);
          worker.on('exit', (code) => (code === 0 ? done() : failed(new Error(`the worker ended with ${code}`))));
        }),
    );
    await Promise.all(ended);
  });
  if (process.env.STORY_GUARD)
    await chapter('guard server', () => throughServer(JSON.parse(process.env.STORY_GUARD), { folder, plain, device, signer }));
  rmSync(folder, { recursive: true });
  return chapters;
}

/** A device is enrolled, approved and entitled; a model is published and released to it; it loads through a lease. */
async function throughServer({ url, serverKey, passwordFile }, { folder, plain, device, signer }) {
  const client = (account, name, more) =>
    guardServer({ url, serverKey, credentials: () => account, state: join(folder, name), ...more });
  const first = { email: 'admin@localhost', password: readFileSync(passwordFile, 'utf8').trim() };
  const own = { ...first, password: 'a long phrase, chosen by the story' };
  const once = client(first, 'once');
  await once.account.changePassword(first.password, own.password);
  once.close();
  const admin = client(own, 'admin');
  const person = { email: 'line@example.com', password: 'another long phrase of the story' };
  const temporary = { ...person, password: 'what the administrator gave first' };
  const { id: account } = await admin.users.create({ ...temporary, role: 'companion' });
  const joining = client(temporary, 'joining');
  await joining.account.changePassword(temporary.password, person.password);
  joining.close();
  await admin.publishers.set('net', [signer.publicKey]);
  const { payloadId } = await protect(join(folder, 'net.onnx'), { name: 'net', version: '1', signer, to: admin });
  await admin.release('net@1', { payloadId });
  const line = client(person, 'line', { device, publishers: signer.publicKey });
  const {
    device: { id },
    fingerprint,
  } = await line.enroll('line');
  assert.equal(await codeOf(load('net', { from: line })), 'DEVICE_NOT_APPROVED');
  await admin.devices.approve(id, fingerprint);
  await admin.entitlements.create({ name: 'net', account, device: id });
  const model = await load('net', { from: line });
  assert.ok(same(model.bytes, plain));
  model.dispose();
  line.close();
  admin.close();
}

if (isMainThread) {
  const chapters = await tell();
  console.log(JSON.stringify({ ...versions(), chapters }));
} else await asWorker(workerData);
