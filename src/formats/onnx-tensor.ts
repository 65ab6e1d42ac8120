/** Reads a TensorProto of an ONNX model: its type, its shape, and where its values lie. */
import type { Field, FieldHandler, MessageReader } from './protobuf.js';
import type { Cursor } from './reader.js';
import {
  besides,
  elements,
  MAX_RANK,
  malformed,
  quoted,
  type TensorInfo,
  type TensorPlace,
  tooMuch,
  unknownType,
} from './tensor.js';

/** TensorProto.DataType: name and bits of an element. Text has no size. */
const TYPES: ReadonlyMap<number, readonly [name: string, bits: number | undefined]> = new Map([
  [1, ['FLOAT', 32]],
  [2, ['UINT8', 8]],
  [3, ['INT8', 8]],
  [4, ['UINT16', 16]],
  [5, ['INT16', 16]],
  [6, ['INT32', 32]],
  [7, ['INT64', 64]],
  [8, ['STRING', undefined]],
  [9, ['BOOL', 8]],
  [10, ['FLOAT16', 16]],
  [11, ['DOUBLE', 64]],
  [12, ['UINT32', 32]],
  [13, ['UINT64', 64]],
  [14, ['COMPLEX64', 64]],
  [15, ['COMPLEX128', 128]],
  [16, ['BFLOAT16', 16]],
  [17, ['FLOAT8E4M3FN', 8]],
  [18, ['FLOAT8E4M3FNUZ', 8]],
  [19, ['FLOAT8E5M2', 8]],
  [20, ['FLOAT8E5M2FNUZ', 8]],
  [21, ['UINT4', 4]],
  [22, ['INT4', 4]],
  [23, ['FLOAT4E2M1', 4]],
  [24, ['FLOAT8E8M0', 8]],
  [25, ['UINT2', 2]],
  [26, ['INT2', 2]],
]);

const UNDEFINED = 0;

/** Fields of TensorProto in onnx.proto3. */
const DIMS = 1;
const DATA_TYPE = 2;
const FLOAT_DATA = 4;
const INT32_DATA = 5;
const STRING_DATA = 6;
const INT64_DATA = 7;
const NAME = 8;
const RAW_DATA = 9;
const DOUBLE_DATA = 10;
const UINT64_DATA = 11;
const EXTERNAL_DATA = 13;
const DATA_LOCATION = 14;
/** Fields of StringStringEntryProto. */
const KEY = 1;
const VALUE = 2;
/** TensorProto.DataLocation */
const EXTERNAL = 1n;

/** The types whose values these fields hold. */
const FLOATS: ReadonlyMap<number, readonly string[]> = new Map([
  [FLOAT_DATA, ['FLOAT', 'COMPLEX64']],
  [DOUBLE_DATA, ['DOUBLE', 'COMPLEX128']],
]);

const MAX_NAME_BYTES = 65_535;
const MAX_EXTERNAL_FIELDS = 16;

/** The sizes of the model's files, by name. */
export type FileSizes = (name: string) => number | undefined;

export type RawBytes = Extract<Field, { readonly kind: 'bytes' }>;

export class OnnxTensorReader {
  readonly #cursor: Cursor;
  readonly #messages: MessageReader;
  readonly #sizes: FileSizes;

  constructor(cursor: Cursor, messages: MessageReader, sizes: FileSizes) {
    this.#cursor = cursor;
    this.#messages = messages;
    this.#sizes = sizes;
  }

  /** The tensor in `message`. Its name is its own, which may be empty. */
  async tensor(message: RawBytes): Promise<TensorInfo> {
    const found = new TensorFields();
    const handle: FieldHandler = (field) => this.#field(found, field);
    await this.#messages.message(message.offset + message.length, handle);
    const { name, shape } = found;
    const [dtype, bits] = TYPES.get(found.type) ?? [];
    if (found.type === UNDEFINED) throw malformed(this.#cursor.file, `${quoted(name)} has no type`);
    if (dtype === undefined) throw unknownType(this.#cursor.file, name, found.type);
    return { name, dtype, shape, place: this.#place(found, dtype, bits) };
  }

  #field(found: TensorFields, field: Field): Promise<void> | void {
    switch (field.number) {
      case DIMS:
        return this.#dimensions(found, field);
      case DATA_TYPE:
        found.type = Number(varint(this.#cursor, field));
        return;
      case NAME:
        return this.#messages.text(bytes(this.#cursor, field), MAX_NAME_BYTES).then((name) => {
          found.name = name;
        });
      case RAW_DATA:
        if (found.raw) throw malformed(this.#cursor.file, `${quoted(found.name)} has its values twice`);
        found.raw = bytes(this.#cursor, field);
        return;
      case FLOAT_DATA:
      case INT32_DATA:
      case STRING_DATA:
      case INT64_DATA:
      case DOUBLE_DATA:
      case UINT64_DATA:
        found.typed.add(field.number);
        found.runs += 1;
        if (field.kind === 'bytes') found.run = field;
        return;
      case EXTERNAL_DATA:
        return this.#external(found, bytes(this.#cursor, field));
      case DATA_LOCATION:
        found.isExternal = varint(this.#cursor, field) === EXTERNAL;
    }
  }

  async #dimensions(found: TensorFields, field: Field): Promise<void> {
    const values = field.kind === 'bytes' ? await this.#messages.varints(field, MAX_RANK) : [varint(this.#cursor, field)];
    for (const value of values) {
      if (value > Number.MAX_SAFE_INTEGER) throw malformed(this.#cursor.file, 'a dimension is negative or larger than any file');
      found.shape.push(Number(value));
    }
    if (found.shape.length > MAX_RANK) throw tooMuch(this.#cursor.file, `a tensor has more than ${MAX_RANK} dimensions`);
  }

  async #external(found: TensorFields, message: RawBytes): Promise<void> {
    const pair = { key: '', value: '' };
    await this.#messages.message(message.offset + message.length, (field) => {
      if (field.number !== KEY && field.number !== VALUE) return;
      return this.#messages.text(bytes(this.#cursor, field), MAX_NAME_BYTES).then((text) => {
        pair[field.number === KEY ? 'key' : 'value'] = text;
      });
    });
    if (found.external.has(pair.key) || found.external.size === MAX_EXTERNAL_FIELDS)
      throw malformed(this.#cursor.file, `${quoted(pair.key)} of external data is there twice`);
    found.external.set(pair.key, pair.value);
  }

  #place(found: TensorFields, dtype: string, bits: number | undefined): TensorPlace | undefined {
    const { file } = this.#cursor;
    const { name, raw, typed, shape, isExternal } = found;
    if (isExternal && (raw || typed.size > 0)) throw malformed(file, `${quoted(name)} has values here and in another file`);
    if (typed.size + (raw ? 1 : 0) > 1) throw malformed(file, `${quoted(name)} has its values in two fields`);
    const [field = 0] = typed;
    if (FLOATS.get(field)?.includes(dtype) === false)
      throw malformed(file, `${quoted(name)} has type ${dtype}, and its values in a field of another type`);
    if (bits === undefined) {
      if (isExternal || raw) throw malformed(file, `${quoted(name)} holds text, which has no raw bytes`);
      return undefined;
    }
    const length = (elements(shape) * BigInt(bits) + 7n) / 8n;
    if (isExternal) return this.#externalPlace(found, length);
    // One packed run of floats is little-endian numbers one after the other; several fields are not in one piece.
    const values = raw ?? (FLOATS.has(field) && found.runs === 1 ? found.run : undefined);
    if (values && BigInt(values.length) !== length) {
      throw malformed(file, `${quoted(name)} has ${values.length} bytes, which its type and shape do not give`);
    }
    if (values) return { file, offset: values.offset, length: values.length };
    return length === 0n ? { file, offset: 0, length: 0 } : undefined;
  }

  #externalPlace({ name, external }: TensorFields, length: bigint): TensorPlace {
    const { file } = this.#cursor;
    const target = besides(file, external.get('location') ?? '');
    if (target === undefined) throw malformed(file, `${quoted(name)} lies in no path within the model`);
    if (target === file) throw malformed(file, `${quoted(name)} says that its values lie in another file, and names this one`);
    const size = this.#sizes(target);
    if (size === undefined) throw malformed(file, `${quoted(name)} lies in ${quoted(target)}, which is no file of the model`);
    const offset = this.#number(external.get('offset') ?? '0');
    if (this.#number(external.get('length') ?? String(length)) !== length)
      throw malformed(file, `${quoted(name)} has another length than its type and shape give`);
    if (offset + length > size) throw malformed(file, `${quoted(name)} reaches beyond the ${size} bytes of ${quoted(target)}`);
    return { file: target, offset: Number(offset), length: Number(length) };
  }

  #number(text: string): bigint {
    if (!/^[0-9]{1,19}$/.test(text)) throw malformed(this.#cursor.file, `${quoted(text)} of external data is no number`);
    return BigInt(text);
  }
}

/** The fields of a TensorProto, as they come. */
class TensorFields {
  name = '';
  type = 0;
  readonly shape: number[] = [];
  raw: RawBytes | undefined;
  /** The numbers of the fields with values in a type of their own, how many such fields there are, and the last packed one. */
  readonly typed = new Set<number>();
  run: RawBytes | undefined;
  runs = 0;
  isExternal = false;
  readonly external = new Map<string, string>();
}

export function bytes(cursor: Cursor, field: Field): RawBytes {
  if (field.kind !== 'bytes') throw malformed(cursor.file, `the field at byte ${cursor.position} has the wrong wire type`);
  return field;
}

function varint(cursor: Cursor, field: Field): bigint {
  if (field.kind !== 'varint') throw malformed(cursor.file, `the field at byte ${cursor.position} has the wrong wire type`);
  return field.value;
}
