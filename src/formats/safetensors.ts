/**
 * Reads the header of a safetensors file. Source: the section "Format" of the README of huggingface/safetensors, and the checks of its
 * reference implementation.
 */
import { JsonReader } from './json.js';
import type { RangeReader } from './reader.js';
import {
  elements,
  MAX_RANK,
  MAX_TENSORS,
  malformed,
  quoted,
  type TensorInfo,
  TensorTable,
  tooMuch,
  unknownType,
  utf8,
} from './tensor.js';

/** Bytes of the length in front of the header. */
const PREFIX = 8;
export const MAX_HEADER = 100_000_000;
/** Texts that `__metadata__` may have; common files have ten or so. */
const MAX_METADATA = 65_536;
/** Of a tensor: a fourth member is one twice, or an unknown one. */
const MEMBERS = 3 + 1;

/** Bits of an element. */
const DTYPES: Readonly<Record<string, number>> = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
};

/** Whether a file begins as a safetensors file does: a length of at most 100 MB, then a brace. */
export function isSafetensors(start: Uint8Array): boolean {
  if (start.length <= PREFIX || start[PREFIX] !== 0x7b) return false;
  return new DataView(start.buffer, start.byteOffset).getBigUint64(0, true) <= MAX_HEADER;
}

/**
 * The tensors of a safetensors file, in the order of its header. Their bytes follow the header, one after the other, without a hole.
 * @throws TENSORS_MALFORMED, LIMIT_EXCEEDED, VERSION_UNSUPPORTED for an unknown dtype; what the reader throws
 */
export async function safetensors(file: string, reader: RangeReader): Promise<readonly TensorInfo[]> {
  const { bytes, json } = await readHeader(file, reader);
  const dataStart = PREFIX + bytes;
  const table = new TensorTable(file);
  json.object(MAX_TENSORS + 1, (name) => {
    if (name === '__metadata__') skipMetadata(json);
    else table.add(tensor(file, name, json, dataStart));
  });
  json.end();
  const tensors = table.finish();
  checkContiguous(file, tensors, dataStart, reader.size);
  return tensors;
}

async function readHeader(file: string, reader: RangeReader): Promise<{ bytes: number; json: JsonReader }> {
  if (reader.size <= PREFIX) throw malformed(file, 'it is too short for a header');
  const prefix = await reader.read(0, PREFIX);
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > reader.size - PREFIX) throw malformed(file, `its header claims ${length} bytes, more than the file has`);
  if (length > MAX_HEADER) throw tooMuch(file, `its header has ${length} bytes; ${MAX_HEADER} are allowed`);
  const bytes = Number(length);
  const json = new JsonReader(text(file, await reader.read(PREFIX, bytes)), {
    malformed: (what) => malformed(file, what),
    tooMuch: (what) => tooMuch(file, what),
  });
  return { bytes, json };
}

/** A byte order mark is no brace either. */
function text(file: string, bytes: Uint8Array): string {
  if (bytes[0] !== 0x7b) throw malformed(file, 'its header does not begin with a brace');
  return utf8(file, bytes, 'its header');
}

/** Maps text to text. The reference implementation takes null for none. */
function skipMetadata(json: JsonReader): void {
  if (!json.isNull()) json.object(MAX_METADATA, () => json.string());
}

function tensor(file: string, name: string, json: JsonReader, dataStart: number): TensorInfo {
  const found: { dtype?: string; shape?: readonly number[]; offsets?: readonly number[] } = {};
  json.object(MEMBERS, (member) => {
    if (member === 'dtype') found.dtype = json.string();
    else if (member === 'shape') found.shape = json.numbers(MAX_RANK);
    else if (member === 'data_offsets') found.offsets = json.numbers(2);
    else throw malformed(file, `${quoted(name)} has the unknown member ${quoted(member)}`);
  });
  const { dtype, shape, offsets } = found;
  if (dtype === undefined || !shape || !offsets) throw malformed(file, `${quoted(name)} needs dtype, shape and data_offsets`);
  const bits = Object.hasOwn(DTYPES, dtype) ? DTYPES[dtype] : undefined;
  if (bits === undefined) throw unknownType(file, name, dtype);
  const [begin, end] = offsets;
  if (!shape.every(isCount)) throw malformed(file, `${quoted(name)} has no valid shape`);
  if (!offsets.every(isCount) || begin === undefined || end === undefined || begin > end)
    throw malformed(file, `${quoted(name)} has no valid data_offsets`);
  const length = end - begin;
  if (elements(shape) * BigInt(bits) !== BigInt(length) * 8n)
    throw malformed(file, `${quoted(name)} has ${length} bytes, which its dtype and shape do not give`);
  return { name, dtype, shape, place: { file, offset: dataStart + begin, length } };
}

/** A whole number from 0 to 2^53 - 1. */
const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0);

function checkContiguous(file: string, tensors: readonly TensorInfo[], dataStart: number, size: number): void {
  let end = dataStart;
  const places = tensors.flatMap(({ place }) => place ?? []);
  for (const { offset, length } of places.sort((a, b) => a.offset - b.offset || a.length - b.length)) {
    if (offset !== end) throw malformed(file, `no tensor begins at byte ${end}, where one must`);
    end += length;
  }
  if (end !== size) throw malformed(file, `its tensors end at byte ${end}, the file at ${size}`);
}
