/** Checks what a reader of tensor tables says about a model, with sizes of its own: it shares no code with the readers. */
import { isModelGuardError } from '../../src/errors.js';
import { modelTensors, type TensorInfo } from '../../src/formats/index.js';
import { type CountingReader, modelOf } from '../support/tensor-files.js';
import type { TableCase, Written } from './table-case.js';

/** Bits of an element. */
export const DTYPE_BITS: Readonly<Record<'safetensors' | 'onnx', Readonly<Record<string, number>>>> = {
  safetensors: {
    ...{ F4: 4, F6_E2M3: 6, F6_E3M2: 6 },
    ...{ BOOL: 8, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8 },
    ...{ I16: 16, U16: 16, F16: 16, BF16: 16, I32: 32, U32: 32, F32: 32, I64: 64, U64: 64, F64: 64, C64: 64 },
  },
  onnx: {
    ...{ FLOAT: 32, UINT8: 8, INT8: 8, UINT16: 16, INT16: 16, INT32: 32, INT64: 64, BOOL: 8, FLOAT16: 16, DOUBLE: 64 },
    ...{ UINT32: 32, UINT64: 64, COMPLEX64: 64, COMPLEX128: 128, BFLOAT16: 16 },
    ...{ FLOAT8E4M3FN: 8, FLOAT8E4M3FNUZ: 8, FLOAT8E5M2: 8, FLOAT8E5M2FNUZ: 8, FLOAT8E8M0: 8 },
    ...{ UINT4: 4, INT4: 4, FLOAT4E2M1: 4, UINT2: 2, INT2: 2 },
  },
};

/** Each at its number in TensorProto.DataType. */
export const ONNX_NUMBERS: readonly string[] = (
  'UNDEFINED FLOAT UINT8 INT8 UINT16 INT16 INT32 INT64 STRING BOOL FLOAT16 DOUBLE UINT32 UINT64 COMPLEX64 COMPLEX128 BFLOAT16 FLOAT8E4M3FN ' +
  'FLOAT8E4M3FNUZ FLOAT8E5M2 FLOAT8E5M2FNUZ UINT4 INT4 FLOAT4E2M1 FLOAT8E8M0 UINT2 INT2'
).split(' ');

interface Block {
  readonly type: number;
  readonly elements: number;
  readonly bytes: number;
}
const block = (type: number, elements: number, ...bytes: readonly number[]): Block => ({
  type,
  elements,
  bytes: bytes.reduce((a, b) => a + b, 0),
});

/** Bytes of a block by its members, in the structs of ggml-common.h. */
export const GGUF_BLOCKS: Readonly<Record<string, Block>> = {
  F32: block(0, 1, 4),
  F16: block(1, 1, 2),
  Q4_0: block(2, 32, 2, 32 / 2),
  Q4_1: block(3, 32, 2 + 2, 32 / 2),
  Q5_0: block(6, 32, 2, 4, 32 / 2),
  Q5_1: block(7, 32, 2 + 2, 4, 32 / 2),
  Q8_0: block(8, 32, 2, 32),
  Q8_1: block(9, 32, 2 + 2, 32),
  Q2_K: block(10, 256, 256 / 16, 256 / 4, 2 + 2),
  Q3_K: block(11, 256, 256 / 8, 256 / 4, 12, 2),
  Q4_K: block(12, 256, 2 + 2, 12, 256 / 2),
  Q5_K: block(13, 256, 2 + 2, 12, 256 / 8, 256 / 2),
  Q6_K: block(14, 256, 256 / 2, 256 / 4, 256 / 16, 2),
  Q8_K: block(15, 256, 4, 256, (256 / 16) * 2),
  IQ2_XXS: block(16, 256, 2, (256 / 8) * 2),
  IQ2_XS: block(17, 256, 2, (256 / 8) * 2, 256 / 32),
  IQ3_XXS: block(18, 256, 2, 3 * (256 / 8)),
  IQ1_S: block(19, 256, 2, 256 / 8, (256 / 32) * 2),
  IQ4_NL: block(20, 32, 2, 32 / 2),
  IQ3_S: block(21, 256, 2, 256 / 4, 256 / 32, 256 / 8, 256 / 64),
  IQ2_S: block(22, 256, 2, 256 / 4, 256 / 32, 256 / 32),
  IQ4_XS: block(23, 256, 2, 2, 256 / 64, 256 / 2),
  I8: block(24, 1, 1),
  I16: block(25, 1, 2),
  I32: block(26, 1, 4),
  I64: block(27, 1, 8),
  F64: block(28, 1, 8),
  IQ1_M: block(29, 256, 256 / 8, 256 / 16, 256 / 32),
  BF16: block(30, 1, 2),
  TQ1_0: block(34, 256, 48, 256 / 64, 2),
  TQ2_0: block(35, 256, 256 / 4, 2),
  MXFP4: block(39, 32, 1, 32 / 2),
  NVFP4: block(40, 64, 64 / 16, 64 / 2),
  Q1_0: block(41, 128, 2, 128 / 8),
};

/** The errors that `tensors()` documents for the files of a model. */
const CODES = ['TENSORS_MALFORMED', 'LIMIT_EXCEEDED', 'VERSION_UNSUPPORTED', 'SOURCE_UNSUPPORTED', 'INVALID_ARGUMENT'];
const MAX_MESSAGE = 1000;
/** Of a file: what one read of 128 KiB leaves unread is read by the next ones. */
const READS = 12;

function claim(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** Bytes that a tensor must have; undefined for one that has no bytes of a known size. */
function sizeOf({ dtype, shape }: TensorInfo, format: string): bigint | undefined {
  const count = shape.reduce((product, size) => product * BigInt(size), 1n);
  if (format === 'gguf') {
    const { elements, bytes } = Object.hasOwn(GGUF_BLOCKS, dtype) ? (GGUF_BLOCKS[dtype] as Block) : { elements: 1, bytes: -1 };
    claim((shape.at(-1) ?? 1) % elements === 0, `a row of ${dtype} ends within a block`);
    return (count / BigInt(elements)) * BigInt(bytes);
  }
  const bits = DTYPE_BITS[format as 'onnx'];
  return Object.hasOwn(bits, dtype) ? (count * BigInt(bits[dtype] ?? 0) + 7n) / 8n : undefined;
}

type Model = ReadonlyMap<string, CountingReader>;

function checkTensor(tensor: TensorInfo, format: string, model: Model): void {
  const { name, dtype, shape, place } = tensor;
  claim(
    shape.every((size) => Number.isSafeInteger(size) && size >= 0 && !Object.is(size, -0)),
    `${name} has the shape ${shape}`,
  );
  if (!place) {
    claim(format === 'onnx', `${name} has no place`);
    return;
  }
  const { file, offset, length } = place;
  const size = model.get(file)?.size;
  claim(size !== undefined, `${name} lies in ${file}, which is no file of the model`);
  claim(Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(length) && length >= 0, `${name} lies nowhere`);
  claim(offset + length <= size, `${name} reaches beyond ${file}`);
  claim(sizeOf(tensor, format) === BigInt(length), `${name} of ${dtype}, ${shape}, has ${length} bytes`);
}

/** In another file than the table, two tensors may be the same bytes. */
function checkOverlaps(tensors: readonly TensorInfo[], main: string): void {
  const places = tensors.flatMap(({ place }) => (place?.length ? [place] : []));
  for (const [index, one] of places.entries())
    for (const other of places.slice(index + 1)) {
      const isSame = one.offset === other.offset && one.length === other.length && one.file !== main;
      const isApart =
        one.file !== other.file || one.offset + one.length <= other.offset || other.offset + other.length <= one.offset;
      claim(isApart || isSame, `two tensors overlap in ${one.file}`);
    }
}

/** The bytes of a safetensors file are all spoken for: no data hides between the tensors. */
function checkWhole(tensors: readonly TensorInfo[], model: Model): void {
  const lengths = new Map<string, number>();
  for (const { place } of tensors) if (place) lengths.set(place.file, (lengths.get(place.file) ?? 0) + place.length);
  for (const [file, length] of lengths) {
    const { bytes } = model.get(file) as CountingReader;
    claim(8 + new DataView(bytes.buffer).getUint32(0, true) + length === bytes.length, `${file} has bytes of no tensor`);
  }
}

function checkWritten(tensors: readonly TensorInfo[], written: readonly Written[], model: Model): void {
  const described = (all: readonly { name: string; dtype: string; shape: readonly number[] }[]): string =>
    JSON.stringify(all.map(({ name, dtype, shape }) => [name, dtype, shape]).sort());
  claim(described(tensors) === described(written), `an honest file: ${described(written)} became ${described(tensors)}`);
  const byName = new Map(tensors.map(({ name, place }) => [name, place]));
  for (const { name, bytes } of written) {
    const place = byName.get(name);
    const found = place && model.get(place.file)?.bytes.subarray(place.offset, place.offset + place.length);
    claim((found === undefined) === (bytes === undefined), `the place of ${name} is wrong`);
    claim(!found || !bytes || Buffer.compare(found, bytes) === 0, `${name} has other bytes`);
  }
}

const prototypes = (): string =>
  [Object.prototype, Array.prototype, Map.prototype, Function.prototype, String.prototype]
    .map((one) => Reflect.ownKeys(one).map(String).join())
    .join(';');
const clean = prototypes();

/** Reads the tensors of a model. @returns whether they were accepted @throws Error where a claim does not hold */
export async function checkTable(format: 'safetensors' | 'gguf' | 'onnx', { files, written }: TableCase): Promise<boolean> {
  const model = modelOf(files);
  let tensors: readonly TensorInfo[] | undefined;
  try {
    tensors = await modelTensors(model);
  } catch (error) {
    if (!isModelGuardError(error)) throw error;
    claim(!written, `an honest file is refused: ${error.message}`);
    claim(CODES.includes(error.code), `${error.code} is not documented for a table`);
    claim(
      error.message.length < MAX_MESSAGE && !/\p{Cc}/u.test(error.message),
      'a message has control characters of a file, or is long',
    );
  }
  claim(prototypes() === clean, 'a prototype was changed');
  for (const [file, { given, reads, size }] of model) {
    claim(given <= 8 * size + 64, `${given} bytes were read of ${file}, which has ${size}`);
    claim(reads <= READS, `${file} of ${size} bytes was read ${reads} times`);
  }
  if (!tensors) return false;
  claim(new Set(tensors.map(({ name }) => name)).size === tensors.length, 'a name is there twice');
  for (const tensor of tensors) checkTensor(tensor, format, model);
  const [main = ''] = model.keys();
  checkOverlaps(tensors, main);
  if (format === 'safetensors') checkWhole(tensors, model);
  if (written) checkWritten(tensors, written, model);
  return true;
}
