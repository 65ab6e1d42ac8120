/** Tensors of ONNX models. If this fails, a tensor is read from the wrong place, or a model leads to files outside of it. */
import { describe, expect, it } from 'vitest';
import { onnx } from '../../src/formats/onnx.js';
import { codeOf } from '../support/failures.js';
import { needShared } from '../support/shared.js';
import { CountingReader, filesBelow, onnxProto, proto, readWhole } from '../support/tensor-files.js';

const { attribute, external, graph, initializer, model, node, raw, tensor } = onnxProto;
const FLOAT = 1;
const floats = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
const sizes: ReadonlyMap<string, number> = new Map([['sub/weights.bin', 100]]);
const read = (bytes: Uint8Array, reader = new CountingReader(bytes)) => onnx('sub/a.onnx', reader, (name) => sizes.get(name));
const whole = (name: string, bytes: Uint8Array = floats): Uint8Array => Buffer.concat([tensor(name, FLOAT, [2, 2]), raw(bytes)]);
const outside = (entries: Readonly<Record<string, string>>, name = 'w'): Uint8Array =>
  initializer(tensor(name, FLOAT, [2, 2]), external(entries));
const places = async (bytes: Uint8Array) =>
  (await read(bytes)).map(({ name, place }) => [name, place && [...bytes.subarray(place.offset, place.offset + place.length)]]);

describe('a valid model', () => {
  it('shows initializers with their bytes', async () => {
    const bytes = model(graph(initializer(whole('w')), initializer(raw(floats), tensor('v', FLOAT, [4]))));
    expect(await places(bytes)).toEqual([
      ['w', [...floats]],
      ['v', [...floats]],
    ]);
    expect((await read(bytes))[0]).toMatchObject({ dtype: 'FLOAT', shape: [2, 2] });
  });

  it('names what lies in nodes, inner graphs, functions and training by its place', async () => {
    const inner = attribute(proto.bytes(6, initializer(whole('w')), node(attribute(proto.bytes(5, whole('c'))))));
    const bytes = model(
      graph(node(), node(inner), node(attribute(proto.bytes(10, whole('')), proto.bytes(10, whole(''))))),
      proto.bytes(25, proto.bytes(7, attribute(proto.bytes(5, whole('x'))))),
      proto.bytes(20, proto.bytes(1, initializer(whole('w')))),
    );
    expect((await read(bytes)).map(({ name }) => name)).toEqual([
      'node[1].attribute[0].g/w',
      'node[1].attribute[0].g/node[0].attribute[0].t',
      'node[2].attribute[0].tensors[0]',
      'node[2].attribute[0].tensors[1]',
      'function[0].node[0].attribute[0].t',
      'training_info[0].initialization/w',
    ]);
  });

  it('shows both tensors of a sparse one', async () => {
    const indices = Buffer.concat([tensor('', 7, [2]), raw(new Uint8Array(16))]);
    const bytes = model(graph(proto.bytes(15, proto.bytes(1, whole('s')), proto.bytes(2, indices))));
    expect((await read(bytes)).map(({ name, shape }) => [name, shape])).toEqual([
      ['s', [2, 2]],
      ['s.indices', [2]],
    ]);
  });

  it('has a place for one packed run of floats, and none for other typed values or text', async () => {
    const packed = initializer(tensor('packed', FLOAT, [4]), proto.bytes(4, floats));
    const two = initializer(tensor('two', FLOAT, [4]), proto.bytes(4, floats.subarray(0, 8)), proto.bytes(4, floats.subarray(8)));
    const integers = initializer(tensor('integers', 6, [2]), proto.bytes(5, Uint8Array.of(1, 2)));
    const text = initializer(tensor('text', 8, [1]), proto.bytes(6, 'a'));
    expect(await places(model(graph(packed, two, integers, text)))).toEqual([
      ['packed', [...floats]],
      ['two', undefined],
      ['integers', undefined],
      ['text', undefined],
    ]);
  });

  it('has external data in a file beside it', async () => {
    const [tensor] = await read(model(graph(outside({ location: 'weights.bin', offset: '84', length: '16' }))));
    expect(tensor?.place).toEqual({ file: 'sub/weights.bin', offset: 84, length: 16 });
  });

  it.each(['./weights.bin', '././weights.bin'])('has external data at %s', async (location) => {
    const [tensor] = await read(model(graph(outside({ location }))));
    expect(tensor?.place?.file).toBe('sub/weights.bin');
  });

  it('may have two names for the same external data', async () => {
    const at = { location: 'weights.bin', offset: '16' };
    const found = await read(
      model(
        graph(
          outside(at),
          outside({ ...at, location: './weights.bin', length: '16' }, 'v'),
          outside({ ...at, offset: '32' }, 'u'),
        ),
      ),
    );
    expect(found.map(({ name, place }) => [name, place?.offset])).toEqual([
      ['w', 16],
      ['v', 16],
      ['u', 32],
    ]);
  });

  it('has a place for packed complex numbers and doubles', async () => {
    const complex = initializer(tensor('complex', 14, [2]), proto.bytes(4, floats));
    const doubles = initializer(tensor('doubles', 11, [2]), proto.bytes(10, floats));
    expect((await places(model(graph(complex, doubles)))).map(([, bytes]) => bytes)).toEqual([[...floats], [...floats]]);
  });

  it('is read without its values', async () => {
    const bytes = model(graph(initializer(tensor('w', FLOAT, [1e6]), raw(new Uint8Array(4e6))), initializer(whole('v'))));
    const reader = new CountingReader(bytes);
    expect(await read(bytes, reader)).toHaveLength(2);
    expect(reader.given).toBeLessThan(300_000);
  });

  it('of other writers is read, and one without structure refused', async (context) => {
    const files = filesBelow(needShared(context, 'models'), '.onnx');
    for (const file of files) {
      const task = read(readWhole(file));
      if (file.endsWith('corrupt-model.onnx')) expect(await codeOf(() => task)).toBe('TENSORS_MALFORMED');
      else await task;
    }
    const past = files.find((file) => file.endsWith('past.onnx')) ?? '';
    const found = (await read(readWhole(past))).find(({ name }) => name === 'transformer.wte.weight');
    expect(found).toMatchObject({ dtype: 'FLOAT', shape: [1000, 32], place: { length: 128_000 } });
  });
});

describe('a model is refused', () => {
  it.each([
    ['above the model', '../weights.bin'],
    ['at an absolute path', '/etc/passwd'],
    ['at a path of another system', '..\\weights.bin'],
    ['on a drive', 'C:weights.bin'],
    ['nowhere', ''],
    ['in a folder', 'weights.bin/'],
    ['in its own folder', '.'],
    ['above the model, after its own folder', './../sub/weights.bin'],
    ['in the root, after its own folder', './/weights.bin'],
    ['in the model itself, by its folder', './a.onnx'],
    ['at a path with a zero', 'weights.bin\0'],
    ['through a folder that is left again', 'x/../weights.bin'],
    ['in a file that the model lacks', 'other.bin'],
    ['in the model itself', 'a.onnx'],
  ])('whose external data lie %s', async (_, location) => {
    expect(await codeOf(() => read(model(graph(outside({ location })))))).toBe('TENSORS_MALFORMED');
  });

  const at = { location: 'weights.bin' };
  it.each([
    ['that reaches beyond its other file', outside({ ...at, offset: '90' })],
    ['with an offset of 2^63', outside({ ...at, offset: String(1n << 63n) })],
    ['with a negative offset', outside({ ...at, offset: '-1' })],
    ['with another length than its shape', outside({ ...at, length: '8' })],
    ['that is here and elsewhere', initializer(whole('w'), external(at))],
    ['that shares its external bytes', Buffer.concat([outside(at), outside({ ...at, offset: '8' }, 'v')])],
    ['with a location twice', initializer(tensor('w', FLOAT, [2, 2]), external(at), external(at))],
    ['with a name twice', Buffer.concat([initializer(whole('w')), initializer(whole('w'))])],
    ['whose bytes do not fit its shape', initializer(whole('w', floats.subarray(4)))],
    ['with its values twice', initializer(whole('w'), raw(floats))],
    ['with a negative dimension', initializer(tensor('w', FLOAT, [-1]), raw(floats))],
    ['whose product overflows', initializer(tensor('w', FLOAT, [1n << 32n, 1n << 30n, 4]), raw(floats))],
    ['without a type', initializer(tensor('w', 0, [4]), raw(floats))],
    ['of integers in float_data', initializer(tensor('w', 6, [4]), proto.bytes(4, floats))],
    ['of doubles in float_data', initializer(tensor('w', 11, [2]), proto.bytes(4, floats))],
    ['of floats in double_data', initializer(tensor('w', FLOAT, [4]), proto.bytes(10, floats))],
    ['with raw and typed floats', initializer(whole('w'), proto.bytes(4, floats))],
    ['with raw and typed integers', initializer(tensor('w', 6, [4]), raw(floats), proto.bytes(5, Uint8Array.of(1, 2, 3, 4)))],
    ['with typed values and external ones', initializer(tensor('w', 6, [1]), external(at), proto.bytes(5, Uint8Array.of(1)))],
    [
      'whose values two names share in part',
      Buffer.concat([outside(at), outside({ ...at, offset: '0' }, 'v'), outside({ ...at, offset: '8' }, 'u')]),
    ],
    ['of text with raw bytes', initializer(tensor('w', 8, [4]), raw(floats))],
    ['whose attribute has two tensors where one may be', node(attribute(proto.bytes(5, whole('a')), proto.bytes(5, whole('b'))))],
    ['that is a number', proto.number(5, 1)],
  ])('with a tensor %s', async (_, fields) => {
    expect(await codeOf(() => read(model(graph(fields))))).toBe('TENSORS_MALFORMED');
  });

  it.each([
    ['two graphs', model(graph(), graph())],
    ['a field that reaches beyond its message', Uint8Array.from([...model(), 0x3a, 0x02, 0x0a, 0x7f])],
    ['a field of 2^63 bytes', Uint8Array.from([...model(), 0x3a, ...proto.varint(1n << 63n)])],
    ['a number without an end', Uint8Array.from([...model(), 0x08, ...new Uint8Array(20).fill(0xff)])],
    ['field 0', Uint8Array.from([...model(), 0x02, 0x00])],
    ['a group', Uint8Array.from([...model(), 0x3b])],
  ])('with %s', async (_, bytes) => {
    expect(await codeOf(() => read(bytes))).toBe('TENSORS_MALFORMED');
  });

  it.each([27, 99])('with a type that this release does not know: %i', async (type) => {
    await expect(read(model(graph(initializer(tensor('w', type, [4]), raw(floats)))))).rejects.toMatchObject({
      code: 'VERSION_UNSUPPORTED',
      message: expect.stringContaining(`"w" has the type "${type}"`),
    });
  });

  it('with graphs nested deeply, or millions of fields', async () => {
    let nested: Uint8Array = Buffer.alloc(0);
    for (let depth = 0; depth < 100; depth++) nested = node(attribute(proto.bytes(6, nested)));
    expect(await codeOf(() => read(model(graph(nested))))).toBe('LIMIT_EXCEEDED');
    const fields = Uint8Array.from([...model(), ...graph(new Uint8Array(0))]);
    const many = Buffer.concat([fields, Buffer.alloc(2 * 9e6, Buffer.from([0x10, 0x00]))]);
    expect(await codeOf(() => read(many))).toBe('LIMIT_EXCEEDED');
  });
});
