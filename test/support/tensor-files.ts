/** Writes safetensors, GGUF and ONNX files: an oracle that shares no code with the readers. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { RangeReader } from '../../src/formats/index.js';

export interface WrittenTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
};
const u64 = (value: number | bigint): Buffer => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt(value));
  return out;
};

/** A safetensors file with `header`, which may lie, and `data` behind it. */
export function rawSafetensors(header: string | Uint8Array, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const json = Buffer.from(header as string);
  return Uint8Array.from(Buffer.concat([u64(json.length), json, data]));
}

export function writeSafetensors(tensors: readonly WrittenTensor[], metadata?: Record<string, string>): Uint8Array {
  let at = 0;
  const entries = tensors.map(({ name, dtype, shape, bytes }) => {
    const from = at;
    at += bytes.length;
    return [name, { dtype, shape, data_offsets: [from, at] }];
  });
  const header = Object.fromEntries([...(metadata ? [['__metadata__', metadata]] : []), ...entries]);
  return rawSafetensors(JSON.stringify(header), Buffer.concat(tensors.map(({ bytes }) => bytes)));
}

const ggufText = (text: string): Buffer => Buffer.concat([u64(Buffer.byteLength(text)), Buffer.from(text)]);

/** A metadata value of GGUF: its type and its bytes. */
export interface GgufValue {
  readonly type: number;
  readonly bytes: Uint8Array;
}
export const ggufValue = {
  u32: (value: number): GgufValue => ({ type: 4, bytes: u32(value) }),
  text: (value: string): GgufValue => ({ type: 8, bytes: ggufText(value) }),
  array: (type: number, items: readonly Uint8Array[], claimed: number | bigint = items.length): GgufValue => ({
    type: 9,
    bytes: Buffer.concat([u32(type), u64(claimed), ...items]),
  }),
};

export interface GgufTensor {
  readonly name: string;
  readonly type: number;
  /** As in the file: the innermost first. */
  readonly sizes: readonly (number | bigint)[];
  readonly bytes: Uint8Array;
  /** Instead of the right one. */
  readonly offset?: number | bigint;
}

interface GgufOptions {
  readonly version?: number;
  readonly metadata?: readonly (readonly [key: string, value: GgufValue])[];
  readonly alignment?: number;
  readonly counts?: { readonly tensors?: number | bigint; readonly keys?: number | bigint };
}

export function writeGguf(tensors: readonly GgufTensor[], options: GgufOptions = {}): Uint8Array {
  const { version = 3, metadata = [], alignment = 32, counts = {} } = options;
  const padding = (size: number): Buffer => Buffer.alloc((alignment - (size % alignment)) % alignment);
  let at = 0;
  const entries = tensors.map(({ name, type, sizes, bytes, offset = at }) => {
    at += bytes.length + padding(bytes.length).length;
    return Buffer.concat([ggufText(name), u32(sizes.length), ...sizes.map(u64), u32(type), u64(offset)]);
  });
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(version),
    u64(counts.tensors ?? tensors.length),
    u64(counts.keys ?? metadata.length),
    ...metadata.map(([key, { type, bytes }]) => Buffer.concat([ggufText(key), u32(type), bytes])),
    ...entries,
  ]);
  const data = tensors.flatMap(({ bytes }) => [bytes, padding(bytes.length)]);
  return Uint8Array.from(Buffer.concat([head, ...(tensors.length > 0 ? [padding(head.length)] : []), ...data]));
}

/** Messages of Protocol Buffers. */
export const proto = {
  varint(value: number | bigint): Buffer {
    const out: number[] = [];
    let left = BigInt.asUintN(64, BigInt(value));
    do {
      out.push(Number(left & 127n) | (left > 127n ? 128 : 0));
      left >>= 7n;
    } while (left > 0n);
    return Buffer.from(out);
  },
  number: (field: number, value: number | bigint): Buffer => Buffer.concat([proto.varint(field * 8), proto.varint(value)]),
  bytes: (field: number, ...content: readonly (Uint8Array | string)[]): Buffer => {
    const all = Buffer.concat(content.map((one) => Buffer.from(one as string)));
    return Buffer.concat([proto.varint(field * 8 + 2), proto.varint(all.length), all]);
  },
};

/** Messages of onnx.proto3. */
export const onnxProto = {
  model: (...fields: readonly Uint8Array[]): Uint8Array =>
    Uint8Array.from(Buffer.concat([proto.number(1, 8), proto.bytes(2, 'test'), ...fields])),
  graph: (...fields: readonly Uint8Array[]): Uint8Array => proto.bytes(7, ...fields),
  initializer: (...fields: readonly Uint8Array[]): Uint8Array => proto.bytes(5, ...fields),
  node: (...fields: readonly Uint8Array[]): Uint8Array => proto.bytes(1, ...fields),
  attribute: (...fields: readonly Uint8Array[]): Uint8Array => proto.bytes(5, proto.bytes(1, 'value'), ...fields),
  /** The fields of a TensorProto without its values. */
  tensor: (name: string, type: number, shape: readonly (number | bigint)[]): Uint8Array =>
    Buffer.concat([proto.bytes(1, ...shape.map(proto.varint)), proto.number(2, type), proto.bytes(8, name)]),
  raw: (bytes: Uint8Array): Uint8Array => proto.bytes(9, bytes),
  external: (entries: Readonly<Record<string, string>>): Uint8Array =>
    Buffer.concat([
      ...Object.entries(entries).map(([key, value]) => proto.bytes(13, proto.bytes(1, key), proto.bytes(2, value))),
      proto.number(14, 1),
    ]),
};

/** A reader over bytes that refuses a range outside, and counts what it gave. */
export class CountingReader implements RangeReader {
  readonly bytes: Uint8Array;
  given = 0;
  largest = 0;
  reads = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get size(): number {
    return this.bytes.length;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0 || offset + length > this.size)
      throw new Error(`a range outside of the file: ${length} bytes from ${offset} on of ${this.size}`);
    this.given += length;
    this.reads += 1;
    this.largest = Math.max(this.largest, length);
    return this.bytes.slice(offset, offset + length);
  }
}

export const modelOf = (files: Readonly<Record<string, Uint8Array>>): ReadonlyMap<string, CountingReader> =>
  new Map(Object.entries(files).map(([name, bytes]) => [name, new CountingReader(bytes)]));

/** The files below a folder whose names end so. */
export const filesBelow = (folder: string, ending: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending) && statSync(path.join(folder, name)).isFile())
    .sort()
    .map((name) => path.join(folder, name));

export const readWhole = (file: string): Uint8Array => Uint8Array.from(readFileSync(file));
