/** ONNX models with values of their own and in other files: honest ones, and messages that lie. */
import fc from 'fast-check';
import { onnxProto, proto } from '../support/tensor-files.js';
import { extreme, type Files, filled, names, orDamaged, outerSizes, type TableCase, type Written } from './table-case.js';
import { DTYPE_BITS, ONNX_NUMBERS } from './table-oracle.js';

const { attribute, external, graph, initializer, model, node, raw, tensor } = onnxProto;
const FILE = 'deep/model.onnx';
const DATA = 'deep/weights.bin';
/** Of the largest tensor: three sizes of 3, of 16 bytes. */
const SLOT = 432;
const OTHERS: Files = { [DATA]: filled(10 * SLOT, 9), 'other.bin': filled(100, 8), ['__proto__']: filled(100, 7) };

const drawn = fc.record({
  name: names,
  dtype: fc.constantFrom(...Object.keys(DTYPE_BITS.onnx)),
  shape: outerSizes,
  where: fc.constantFrom('raw', 'external', 'floats', 'integers', 'unpacked'),
});
type Drawn = typeof drawn extends fc.Arbitrary<infer T> ? T : never;

/** A TensorProto, and as the table must show it. */
interface Part {
  readonly message: Uint8Array;
  readonly written: Written;
}

/** External values lie in the slot of their tensor. */
function part({ name, dtype, shape, where }: Drawn, slot: number): Part {
  const count = shape.reduce((a, b) => a * b, 1);
  const length = Math.ceil((count * (DTYPE_BITS.onnx[dtype] ?? 0)) / 8);
  const made = (type: string, values: readonly Uint8Array[], bytes?: Uint8Array): Part => ({
    message: Buffer.concat([tensor(name, ONNX_NUMBERS.indexOf(type), shape), ...values]),
    written: { name, dtype: type, shape, bytes },
  });
  if (where === 'external') {
    const from = slot * SLOT;
    const entries = { location: './weights.bin', offset: String(from), length: String(length) };
    return made(dtype, [external(entries)], OTHERS[DATA]?.slice(from, from + length));
  }
  const bytes = filled(where === 'raw' ? length : 4 * count, slot);
  if (where === 'raw') return made(dtype, [raw(bytes)], bytes);
  if (where === 'floats') return made('FLOAT', [proto.bytes(4, bytes)], bytes);
  const values = Array.from({ length: count }, (_, at) => at);
  const packed = [proto.bytes(7, ...values.map(proto.varint))];
  // No element is no bytes, which are in one piece.
  return made(
    'INT64',
    where === 'integers' ? packed : values.map((value) => proto.number(7, value)),
    count === 0 ? bytes : undefined,
  );
}

const several = fc.uniqueArray(drawn, { maxLength: 3, selector: ({ name }) => name });
/** Initializers, values of nodes, and initializers in the graph of a node. */
const honestCases: fc.Arbitrary<TableCase> = fc
  .record({ own: several, constants: several, below: several, gap: fc.constantFrom(0, 0, 0, 200_000) })
  .map(({ own, constants, below, gap }) => {
    const mains = own.map((one, at) => part(one, at));
    const values = constants.map((one, at) => part(one, 3 + at));
    const nested = below.map((one, at) => part(one, 6 + at));
    const fields = [
      // More than one window of the reader is passed over.
      proto.bytes(10, 'x'.repeat(gap)),
      ...mains.map(({ message }) => initializer(message)),
      ...values.map(({ message }) => node(attribute(proto.bytes(5, message)))),
      node(attribute(proto.bytes(6, ...nested.map(({ message }) => initializer(message))))),
    ];
    const written = [
      ...mains.map((one) => one.written),
      ...values.map((one, index) => ({ ...one.written, name: `node[${index}].attribute[0].t` })),
      ...nested.map((one) => ({ ...one.written, name: `node[${values.length}].attribute[0].g/${one.written.name}` })),
    ];
    return { files: { [FILE]: model(graph(...fields)), ...OTHERS }, written };
  });

const LOCATIONS = [
  'weights.bin',
  './weights.bin',
  '../other.bin',
  '/etc/passwd',
  'model.onnx',
  '',
  '.',
  '__proto__',
  'C:w',
  'a\\b',
];
const NUMBERS = ['-1', '+1', '1e3', ' 1', '0x10', '00', String(10 * SLOT)];
const externalField = fc
  .tuple(
    fc.constantFrom('location', 'offset', 'length', 'checksum', '__proto__'),
    fc.oneof(fc.constantFrom(...LOCATIONS, ...NUMBERS), extreme.map(String), fc.nat(5000).map(String)),
  )
  .map(([key, value]) => proto.bytes(13, proto.bytes(1, key), proto.bytes(2, value)));
const lyingField: fc.Arbitrary<Uint8Array> = fc.oneof(
  externalField,
  fc.tuple(fc.constantFrom(1, 2, 14), extreme).map(([number, value]) => proto.number(number, value)),
  fc.array(fc.oneof(extreme, fc.nat(3)), { maxLength: 70 }).map((sizes) => proto.bytes(1, ...sizes.map(proto.varint))),
  fc.nat(30).map((type) => proto.number(2, type)),
  fc
    .tuple(fc.constantFrom(4, 5, 6, 7, 8, 9, 10, 11), fc.uint8Array({ maxLength: 20 }))
    .map(([number, content]) => proto.bytes(number, content)),
);
/** Values in another file, at a place that others use too, or beyond its end. */
const strayTensor: fc.Arbitrary<Uint8Array> = fc
  .tuple(
    drawn,
    fc.oneof(
      fc.nat(10 * SLOT + 64),
      fc.integer({ min: -64, max: 64 }).map((from) => 10 * SLOT + from),
      extreme,
    ),
  )
  .map(([{ name, dtype, shape }, offset]) =>
    Buffer.concat([
      tensor(name, ONNX_NUMBERS.indexOf(dtype), shape),
      external({ location: 'weights.bin', offset: String(offset) }),
    ]),
  );
const oddTensor: fc.Arbitrary<Uint8Array> = fc
  .tuple(drawn, fc.nat(9), fc.array(lyingField, { maxLength: 4 }))
  .map(([one, slot, more]) => Buffer.concat([part(one, slot).message, ...more]));

const lyingTensor = fc.oneof(strayTensor, oddTensor);

/** Messages within messages, of any kind in any place. */
const { message: anyMessage } = fc.letrec<{ message: Uint8Array }>((tie) => ({
  message: fc.oneof(
    { maxDepth: 6 },
    lyingTensor,
    fc
      .tuple(fc.constantFrom(1, 2, 5, 6, 7, 10, 11, 15, 20, 22, 23, 25), fc.array(tie('message'), { minLength: 1, maxLength: 3 }))
      .map(([number, content]) => proto.bytes(number, ...content)),
  ),
}));
const deepMessage = fc.tuple(fc.nat(100), lyingTensor).map(([depth, content]) => {
  let message = initializer(content);
  for (let level = 0; level < depth; level++) message = node(attribute(proto.bytes(6, message)));
  return message;
});
const lyingCases: fc.Arbitrary<TableCase> = fc
  .array(
    fc.oneof(
      lyingTensor.map((one) => initializer(one)),
      lyingTensor.map((one) => initializer(one)),
      anyMessage,
      deepMessage,
    ),
    {
      maxLength: 4,
    },
  )
  .map((content) => ({ files: { [FILE]: model(graph(...content)), ...OTHERS } }));

/** Nothing else that could be refused, so that their places alone decide. */
const strayCases: fc.Arbitrary<TableCase> = fc
  .array(strayTensor, { minLength: 1, maxLength: 2 })
  .map((tensors) => ({ files: { [FILE]: model(graph(...tensors.map((one) => initializer(one)))), ...OTHERS } }));

export const onnxCases: fc.Arbitrary<TableCase> = fc.oneof(orDamaged(honestCases, FILE), orDamaged(lyingCases, FILE), strayCases);
