/**
 * Random damage to model files. If this fails, a hostile file makes the readers fail without a code, read outside of the file, or promise
 * bytes that no file has.
 */
import { describe, expect, it } from 'vitest';
import { isModelGuardError } from '../../src/errors.js';
import { modelTensors } from '../../src/formats/index.js';
import { scaled } from '../support/sample.js';
import { type Random, seeded } from '../support/seed.js';
import { ggufValue, modelOf, onnxProto, proto, writeGguf, writeSafetensors } from '../support/tensor-files.js';

const { attribute, external, graph, initializer, model, node, raw, tensor } = onnxProto;
const bytes = new Uint8Array(32).fill(9);
const values = [...'0123456789'].map((digit) => Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, digit.charCodeAt(0)]));

const SEEDS: Readonly<Record<string, Readonly<Record<string, Uint8Array>>>> = {
  safetensors: {
    'a.safetensors': writeSafetensors(
      [
        { name: 'a', dtype: 'F32', shape: [2, 4], bytes },
        { name: 'b', dtype: 'U8', shape: [32], bytes },
      ],
      { a: 'b' },
    ),
  },
  gguf: {
    'a.gguf': writeGguf(
      [
        { name: 'a', type: 24, sizes: [8, 4], bytes },
        { name: 'b', type: 2, sizes: [32], bytes: bytes.subarray(0, 18) },
      ],
      {
        metadata: [
          ['general.alignment', ggufValue.u32(32)],
          ['tokens', ggufValue.array(8, values)],
          ['n', ggufValue.text('net')],
        ],
      },
    ),
  },
  onnx: {
    'a.onnx': model(
      graph(
        initializer(tensor('w', 1, [8]), raw(bytes)),
        initializer(tensor('x', 1, [8]), external({ location: 'w.bin', offset: '0', length: '32' })),
        node(attribute(proto.bytes(6, initializer(tensor('y', 7, [1]), proto.bytes(7, Uint8Array.of(5)))))),
        proto.bytes(15, proto.bytes(1, tensor('s', 1, [8]), raw(bytes)), proto.bytes(2, tensor('', 7, [4]), raw(bytes))),
      ),
    ),
    'w.bin': bytes,
  },
};

/** Values that tables lie with. */
const EXTREMES = [0n, 1n, 8n, 0xffn, 1n << 31n, 1n << 32n, (1n << 53n) - 1n, 1n << 53n, 1n << 63n, (1n << 64n) - 1n];

function mutate(random: Random, original: Uint8Array): Uint8Array {
  let out = Uint8Array.from(original);
  for (let count = random.integer(4); count >= 0; count--) {
    const at = random.integer(out.length || 1);
    const kind = random.integer(6);
    if (kind === 0) out[at] = (out[at] ?? 0) ^ random.mask();
    else if (kind === 1 && at + 8 <= out.length) new DataView(out.buffer).setBigUint64(at, random.pick(EXTREMES), true);
    else if (kind === 2) out = out.slice(0, at);
    else if (kind === 3)
      out = Uint8Array.from([...out.subarray(0, at), ...random.bytes(random.integer(12)), ...out.subarray(at)]);
    else if (kind === 4) out = Uint8Array.from([...out.subarray(0, at), ...out.subarray(at + random.integer(12))]);
    else out = Uint8Array.from([...out, ...out.subarray(at, at + 64)]);
  }
  return out;
}

describe('a damaged file', () => {
  it.each(Object.keys(SEEDS))('of %s gives places within the files, or an error with a code', async (format) => {
    const random = seeded(`damaged ${format}`);
    const original = SEEDS[format] ?? {};
    let read = 0;
    for (let round = scaled(4000, 200); round > 0; round--) {
      const files = Object.fromEntries(
        Object.entries(original).map(([name, content]) => [name, name.endsWith('.bin') ? content : mutate(random, content)]),
      );
      const found = modelOf(files);
      try {
        for (const { place } of await modelTensors(found)) {
          if (!place) continue;
          expect(place.offset).toBeGreaterThanOrEqual(0);
          expect(place.offset + place.length).toBeLessThanOrEqual(found.get(place.file)?.size ?? -1);
        }
        read += 1;
      } catch (error) {
        if (!isModelGuardError(error)) throw error;
        expect(['TENSORS_MALFORMED', 'LIMIT_EXCEEDED', 'VERSION_UNSUPPORTED', 'SOURCE_UNSUPPORTED']).toContain(error.code);
      }
      // A reader gives each byte a few times at most, however the table lies.
      for (const { given, size } of found.values()) expect(given).toBeLessThanOrEqual(8 * size + 64);
    }
    expect(read, 'no damaged file was still valid: the seeds no longer are').toBeGreaterThan(0);
  });
});
