/** Reads an ONNX TensorProto (`.pb`), as far as test data need it. */

export type TensorData =
  | Float32Array
  | Float64Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array;
export type TensorType = 'float32' | 'float64' | 'int32' | 'int64' | 'uint8' | 'int8' | 'int16' | 'uint16' | 'bool';
export interface PlainTensor {
  readonly name: string;
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

type Field = { readonly number: number; readonly varint?: bigint; readonly bytes?: Uint8Array };

class Wire {
  #at = 0;
  readonly #view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#at >= this.bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#view.getUint8(this.#at);
      this.#at += 1;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asIntN(64, value);
    }
  }

  take(length: number): Uint8Array {
    this.#at += length;
    return this.bytes.slice(this.#at - length, this.#at);
  }

  field(): Field {
    const key = Number(this.varint());
    const number = key >>> 3;
    switch (key & 7) {
      case 0:
        return { number, varint: this.varint() };
      case 1:
        return { number, bytes: this.take(8) };
      case 2:
        return { number, bytes: this.take(Number(this.varint())) };
      case 5:
        return { number, bytes: this.take(4) };
      default:
        throw new Error(`protobuf wire type ${key & 7}`);
    }
  }
}

/** A repeated integer field stands packed in one field, or unpacked in many. */
function integers(field: Field): bigint[] {
  if (field.varint !== undefined) return [field.varint];
  const wire = new Wire(field.bytes ?? new Uint8Array(0));
  const out: bigint[] = [];
  while (!wire.done) out.push(wire.varint());
  return out;
}

const TYPES: ReadonlyMap<number, TensorType> = new Map([
  [1, 'float32'],
  [2, 'uint8'],
  [3, 'int8'],
  [4, 'uint16'],
  [5, 'int16'],
  [6, 'int32'],
  [7, 'int64'],
  [9, 'bool'],
  [11, 'float64'],
]);

function fromRaw(type: TensorType, raw: Uint8Array): TensorData {
  const { buffer } = Uint8Array.from(raw);
  switch (type) {
    case 'float32':
      return new Float32Array(buffer);
    case 'float64':
      return new Float64Array(buffer);
    case 'int32':
      return new Int32Array(buffer);
    case 'int64':
      return new BigInt64Array(buffer);
    case 'int16':
      return new Int16Array(buffer);
    case 'uint16':
      return new Uint16Array(buffer);
    case 'int8':
      return new Int8Array(buffer);
    case 'uint8':
    case 'bool':
      return new Uint8Array(buffer);
  }
}

function fromIntegers(type: TensorType, values: readonly bigint[]): TensorData {
  if (type === 'int64') return BigInt64Array.from(values);
  const numbers = values.map(Number);
  switch (type) {
    case 'int32':
      return Int32Array.from(numbers);
    case 'int16':
      return Int16Array.from(numbers);
    case 'uint16':
      return Uint16Array.from(numbers);
    case 'int8':
      return Int8Array.from(numbers);
    default:
      return Uint8Array.from(numbers);
  }
}

export function readTensor(bytes: Uint8Array): PlainTensor {
  const wire = new Wire(bytes);
  const dims: number[] = [];
  const values: bigint[] = [];
  const raw: Uint8Array[] = [];
  let name = '';
  let type: TensorType | undefined;
  while (!wire.done) {
    const field = wire.field();
    if (field.number === 1) dims.push(...integers(field).map(Number));
    else if (field.number === 2) type = TYPES.get(Number(field.varint));
    else if (field.number === 5 || field.number === 7) values.push(...integers(field));
    else if (field.number === 8) name = Buffer.from(field.bytes ?? []).toString('utf8');
    // float_data, raw_data and double_data: little-endian numbers one after the other
    else if ([4, 9, 10].includes(field.number)) raw.push(field.bytes ?? new Uint8Array(0));
  }
  if (type === undefined) throw new Error(`${name || 'a tensor'} has a type that this reader does not know`);
  const data = values.length > 0 ? fromIntegers(type, values) : fromRaw(type, Buffer.concat(raw));
  const expected = dims.reduce((product, dim) => product * dim, 1);
  if (data.length !== expected) throw new Error(`${name} has ${data.length} elements instead of ${expected}`);
  return { name, type, dims, data };
}
