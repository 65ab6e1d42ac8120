/**
 * Reads the header of a safetensors file. Source: the section "Format" of the README of huggingface/safetensors, and the checks of its
 * reference implementation.
 */
import { isObject, type Json, type JsonObject, parseJson } from './json.js';
import type { RangeReader } from './reader.js';
import { elements, MAX_RANK, malformed, quoted, type TensorInfo, TensorTable, tooMuch, utf8 } from './tensor.js';

/** Bytes of the length in front of the header. */
const PREFIX = 8;
export const MAX_HEADER = 100_000_000;
/** Of the header's JSON: a tensor takes ten or so. */
const MAX_VALUES = 1 << 22;

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
 * @throws TENSORS_MALFORMED, LIMIT_EXCEEDED; what the reader throws
 */
export async function safetensors(file: string, reader: RangeReader): Promise<readonly TensorInfo[]> {
  const header = await readHeader(file, reader);
  const dataStart = PREFIX + header.bytes;
  const table = new TensorTable(file);
  for (const [name, entry] of header.entries) {
    if (name === '__metadata__') checkMetadata(file, entry);
    else table.add(tensor(file, name, entry, dataStart));
  }
  const tensors = table.finish();
  checkContiguous(file, tensors, dataStart, reader.size);
  return tensors;
}

async function readHeader(file: string, reader: RangeReader): Promise<{ bytes: number; entries: JsonObject }> {
  if (reader.size <= PREFIX) throw malformed(file, 'it is too short for a header');
  const prefix = await reader.read(0, PREFIX);
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER) throw tooMuch(file, `its header claims ${length} bytes; ${MAX_HEADER} are allowed`);
  const bytes = Number(length);
  if (bytes > reader.size - PREFIX) throw malformed(file, `its header claims ${bytes} bytes, more than the file has`);
  const entries = parseJson(text(file, await reader.read(PREFIX, bytes)), MAX_VALUES, {
    malformed: (what) => malformed(file, what),
    tooMuch: (what) => tooMuch(file, what),
  });
  if (!isObject(entries)) throw malformed(file, 'its header is no JSON object');
  return { bytes, entries };
}

/** A byte order mark is no brace either. */
function text(file: string, bytes: Uint8Array): string {
  if (bytes[0] !== 0x7b) throw malformed(file, 'its header does not begin with a brace');
  return utf8(file, bytes, 'its header');
}

function checkMetadata(file: string, metadata: Json): void {
  if (!isObject(metadata) || [...metadata.values()].some((value) => typeof value !== 'string'))
    throw malformed(file, '__metadata__ maps text to text only');
}

const MEMBERS = ['dtype', 'shape', 'data_offsets'];

function tensor(file: string, name: string, entry: Json, dataStart: number): TensorInfo {
  if (!isObject(entry) || entry.size !== MEMBERS.length || !MEMBERS.every((member) => entry.has(member)))
    throw malformed(file, `${quoted(name)} needs dtype, shape and data_offsets, and nothing else`);
  const dtype = entry.get('dtype');
  const bits = typeof dtype === 'string' && Object.hasOwn(DTYPES, dtype) ? DTYPES[dtype] : undefined;
  if (typeof dtype !== 'string' || bits === undefined) throw malformed(file, `${quoted(name)} has a dtype that is unknown`);
  const shape = integers(entry.get('shape'));
  const [begin, end, ...more] = integers(entry.get('data_offsets')) ?? [];
  if (!shape || shape.length > MAX_RANK) throw malformed(file, `${quoted(name)} has no valid shape`);
  if (begin === undefined || end === undefined || more.length > 0 || begin > end)
    throw malformed(file, `${quoted(name)} has no valid data_offsets`);
  const length = end - begin;
  if (elements(shape) * BigInt(bits) !== BigInt(length) * 8n)
    throw malformed(file, `${quoted(name)} has ${length} bytes, which its dtype and shape do not give`);
  return { name, dtype, shape, place: { file, offset: dataStart + begin, length } };
}

/** Whole numbers from 0 to 2^53 - 1. */
function integers(value: Json | undefined): readonly number[] | undefined {
  return Array.isArray(value) && value.every((one) => Number.isSafeInteger(one) && (one as number) >= 0 && !Object.is(one, -0))
    ? (value as readonly number[])
    : undefined;
}

function checkContiguous(file: string, tensors: readonly TensorInfo[], dataStart: number, size: number): void {
  let end = dataStart;
  const places = tensors.flatMap(({ place }) => place ?? []);
  for (const { offset, length } of places.sort((a, b) => a.offset - b.offset || a.length - b.length)) {
    if (offset !== end) throw malformed(file, `no tensor begins at byte ${end}, where one must`);
    end += length;
  }
  if (end !== size) throw malformed(file, `its tensors end at byte ${end}, the file at ${size}`);
}
