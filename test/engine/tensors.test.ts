/** Tensors of loaded models. If this fails, a name gives other bytes than the file has there, or bytes outlive the model. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { decrypt, encrypt, type GuardedModel, load, MasterKey, memoryStore, protect } from '../../src/index.js';
import { failureOf } from '../support/failures.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';
import { onnxProto, proto, writeGguf, writeSafetensors } from '../support/tensor-files.js';

const random = seeded('tensors');
const key = MasterKey.generate();
const { external, graph, initializer, model: onnx, tensor } = onnxProto;
const weights = (name: string, size: number) => ({ name, dtype: 'U8', shape: [size], bytes: random.bytes(size) });
const one = [weights('a', 100_000), weights('b', 7), weights('none', 0)];

const open = async (bytes: Uint8Array): Promise<GuardedModel> =>
  decrypt(await encrypt(bytes, { name: 'net', version: '1', recipients: [key] }), { identities: [key], unsigned: 'accept' });

async function loadFolder(files: Readonly<Record<string, Uint8Array>>): Promise<GuardedModel> {
  const folder = temporaryFolder('tensors');
  for (const [name, bytes] of Object.entries(files)) writeFileSync(path.join(folder, name), bytes);
  const store = memoryStore();
  await protect(folder, { name: 'net', version: '1', recipients: [key], to: store });
  return load('net@1', { from: store, identities: [key], unsigned: 'accept' });
}

describe('tensors()', () => {
  it('gives each tensor with its bytes alone', async () => {
    using model = await open(writeSafetensors(one));
    const tensors = await model.tensors();
    expect([...tensors.keys()]).toEqual(['a', 'b', 'none']);
    for (const { name, dtype, shape, bytes } of one) {
      const found = tensors.get(name);
      expect(found).toMatchObject({ name, dtype, shape, size: bytes.length });
      const read = (await found?.read()) ?? new Uint8Array(1);
      expect(Buffer.compare(read, bytes)).toBe(0);
      expect(read.byteOffset).toBe(0);
    }
  });

  it('is wiped with the model, and rejects afterwards', async () => {
    const model = await open(writeSafetensors(one));
    const found = (await model.tensors()).get('a');
    const bytes = await found?.read();
    model.dispose();
    expect(bytes?.every((byte) => byte === 0)).toBe(true);
    expect((await failureOf(() => found?.read())).code).toBe('DISPOSED');
    expect((await failureOf(() => model.tensors())).code).toBe('DISPOSED');
  });

  it('is DISPOSED where the model is disposed of meanwhile', async () => {
    const model = await open(writeSafetensors(one));
    const pending = failureOf(() => model.tensors());
    model.dispose();
    expect((await pending).code).toBe('DISPOSED');
  });

  it('of a folder finds shards, GGUF files, and external data of ONNX', async () => {
    const [x, y, z] = [weights('x', 50), weights('y', 60), random.bytes(64)];
    using model = await loadFolder({
      'config.json': Uint8Array.from(Buffer.from('{}')),
      'model-1.safetensors': writeSafetensors([x]),
      'model-2.safetensors': writeSafetensors([y]),
      'model.safetensors.index.json': Uint8Array.from(
        Buffer.from(JSON.stringify({ weight_map: { x: 'model-1.safetensors', y: 'model-2.safetensors' } })),
      ),
      'vocab.gguf': writeGguf([{ name: 'g', type: 24, sizes: [64], bytes: z }]),
      'net.onnx': onnx(graph(initializer(tensor('w', 2, [64]), external({ location: 'net.bin' })))),
      'net.bin': z,
    });
    const tensors = await model.tensors();
    expect([...tensors.keys()].sort()).toEqual(['g', 'w', 'x', 'y']);
    for (const [name, bytes] of Object.entries({ g: z, w: z, x: x.bytes, y: y.bytes }))
      expect(Buffer.compare((await tensors.get(name)?.read()) ?? new Uint8Array(0), bytes), name).toBe(0);
    expect([...((await model.files.get('model-2.safetensors')?.tensors()) ?? [])].map(([name]) => name)).toEqual(['y']);
    expect((await failureOf(() => model.files.get('config.json')?.tensors())).code).toBe('SOURCE_UNSUPPORTED');
  });

  it('shows a tensor without bytes of its own, and says so when it is read', async () => {
    using model = await open(onnx(graph(initializer(tensor('i', 6, [2]), proto.bytes(5, Uint8Array.of(1, 2))))));
    const found = (await model.tensors()).get('i');
    expect(found).toMatchObject({ dtype: 'INT32', shape: [2], size: undefined });
    expect((await failureOf(() => found?.read())).code).toBe('SOURCE_UNSUPPORTED');
  });
});
