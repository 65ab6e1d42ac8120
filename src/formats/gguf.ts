/**
 * Reads the table of a GGUF file, version 2 or 3, little-endian. Source: docs/gguf.md in the repository of ggml; the types and the sizes of their
 * blocks are those of gguf-py, `constants.py`.
 */
import { ModelGuardError } from '../errors.js';
import { Cursor, type RangeReader } from './reader.js';
import { elements, MAX_TENSORS, malformed, quoted, type TensorInfo, TensorTable, tooMuch, unknownType, utf8 } from './tensor.js';

/** Type number: name, elements of a block, bytes of a block. */
const TYPES: ReadonlyMap<number, readonly [name: string, elements: number, bytes: number]> = new Map([
  [0, ['F32', 1, 4]],
  [1, ['F16', 1, 2]],
  [2, ['Q4_0', 32, 18]],
  [3, ['Q4_1', 32, 20]],
  [6, ['Q5_0', 32, 22]],
  [7, ['Q5_1', 32, 24]],
  [8, ['Q8_0', 32, 34]],
  [9, ['Q8_1', 32, 36]],
  [10, ['Q2_K', 256, 84]],
  [11, ['Q3_K', 256, 110]],
  [12, ['Q4_K', 256, 144]],
  [13, ['Q5_K', 256, 176]],
  [14, ['Q6_K', 256, 210]],
  [15, ['Q8_K', 256, 292]],
  [16, ['IQ2_XXS', 256, 66]],
  [17, ['IQ2_XS', 256, 74]],
  [18, ['IQ3_XXS', 256, 98]],
  [19, ['IQ1_S', 256, 50]],
  [20, ['IQ4_NL', 32, 18]],
  [21, ['IQ3_S', 256, 110]],
  [22, ['IQ2_S', 256, 82]],
  [23, ['IQ4_XS', 256, 136]],
  [24, ['I8', 1, 1]],
  [25, ['I16', 1, 2]],
  [26, ['I32', 1, 4]],
  [27, ['I64', 1, 8]],
  [28, ['F64', 1, 8]],
  [29, ['IQ1_M', 256, 56]],
  [30, ['BF16', 1, 2]],
  [34, ['TQ1_0', 256, 54]],
  [35, ['TQ2_0', 256, 66]],
  [39, ['MXFP4', 32, 17]],
  [40, ['NVFP4', 64, 36]],
  [41, ['Q1_0', 128, 18]],
]);

/** Types of metadata values that have a fixed size: uint8 to bool, then uint64, int64, float64. */
const VALUE_BYTES: ReadonlyMap<number, number> = new Map([
  [0, 1],
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 4],
  [5, 4],
  [6, 4],
  [7, 1],
  [10, 8],
  [11, 8],
  [12, 8],
]);
const UINT32 = 4;
const STRING = 8;
const ARRAY = 9;

/** The length of a name, its number of dimensions, its type, its offset. */
const MIN_TENSOR_BYTES = 8 + 4 + 4 + 8;
/** The length of a key, its type, a value of one byte. */
const MIN_KEY_BYTES = 8 + 4 + 1;
const MAX_KEYS = 65_536;
const MAX_KEY_BYTES = 65_535;
const MAX_NAME_BYTES = 1024;
/** Strings and arrays within arrays, of the whole file. The largest vocabularies have some 500,000 entries. */
const MAX_ITEMS = 1 << 22;
const MAX_NESTING = 4;
/** GGML_MAX_DIMS */
const MAX_DIMENSIONS = 4;
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 1 << 20;

export const isGguf = (start: Uint8Array): boolean => Buffer.from(start.subarray(0, 4)).toString('latin1') === 'GGUF';

/**
 * The tensors of a GGUF file, in the order of its table. Shapes have the outermost dimension first, where GGUF has it last.
 * @throws TENSORS_MALFORMED, LIMIT_EXCEEDED, VERSION_UNSUPPORTED for other versions than 2 and 3 and for unknown types of tensors; what the reader throws
 */
export const gguf = (file: string, reader: RangeReader): Promise<readonly TensorInfo[]> => new GgufReader(file, reader).tensors();

/** An entry of the table. Its offset counts from the start of the data, whose place is known when all are read. */
type Entry = Omit<TensorInfo, 'place'> & { readonly offset: number; readonly length: number };

class GgufReader {
  readonly #file: string;
  readonly #cursor: Cursor;
  readonly #size: number;
  #itemsLeft = MAX_ITEMS;

  constructor(file: string, reader: RangeReader) {
    this.#file = file;
    this.#cursor = new Cursor(reader, file);
    this.#size = reader.size;
  }

  async tensors(): Promise<readonly TensorInfo[]> {
    const cursor = this.#cursor;
    if (!isGguf(await cursor.bytes(4))) throw malformed(this.#file, 'it does not begin as GGUF does');
    await this.#checkVersion();
    const tensors = await this.#count('tensors', MAX_TENSORS, MIN_TENSOR_BYTES);
    const keys = await this.#count('keys', MAX_KEYS, MIN_KEY_BYTES);
    const alignment = await this.#metadata(keys);
    const entries: Entry[] = [];
    for (let index = 0; index < tensors; index++) entries.push(await this.#entry(alignment));
    const dataStart = Math.ceil(cursor.position / alignment) * alignment;
    const table = new TensorTable(this.#file);
    for (const { offset, length, ...entry } of entries) {
      if (dataStart + offset + length > this.#size) throw malformed(this.#file, `${quoted(entry.name)} reaches beyond the file`);
      table.add({ ...entry, place: { file: this.#file, offset: dataStart + offset, length } });
    }
    return table.finish();
  }

  async #checkVersion(): Promise<void> {
    const version = await this.#cursor.u32();
    if (version === 2 || version === 3) return;
    const bigEndian = version !== 0 && version % 0x1000000 === 0;
    throw new ModelGuardError(
      'VERSION_UNSUPPORTED',
      bigEndian
        ? `${quoted(this.#file)} is a big-endian GGUF file`
        : `${quoted(this.#file)} has version ${version} of GGUF; 2 and 3 are known`,
      { advice: 'Convert it to little-endian GGUF of version 3, with the tools of llama.cpp.' },
    );
  }

  /** Refused before any entry is read, of which each takes at least `entryBytes`. */
  async #count(what: string, most: number, entryBytes: number): Promise<number> {
    const count = await this.#cursor.u64();
    if (count > this.#size / entryBytes) throw malformed(this.#file, `it claims ${count} ${what}, more than it has room for`);
    if (count > most) throw tooMuch(this.#file, `it has ${count} ${what}; ${most} are allowed`);
    return count;
  }

  /** Goes past the metadata, and returns the alignment that they tell. */
  async #metadata(count: number): Promise<number> {
    const keys = new Set<string>();
    let alignment = DEFAULT_ALIGNMENT;
    for (let index = 0; index < count; index++) {
      const key = await this.#text(MAX_KEY_BYTES, 'a key of its metadata');
      if (keys.has(key)) throw malformed(this.#file, `the key ${quoted(key)} is there twice`);
      keys.add(key);
      const type = await this.#cursor.u32();
      if (key === 'general.alignment') alignment = await this.#alignment(type);
      else await this.#skipValue(type, 0);
    }
    return alignment;
  }

  async #alignment(type: number): Promise<number> {
    const value = type === UINT32 ? await this.#cursor.u32() : 0;
    if (value === 0 || value % 8 !== 0 || value > MAX_ALIGNMENT)
      throw malformed(this.#file, 'general.alignment is no multiple of 8 up to 1 MiB, of type uint32');
    return value;
  }

  async #skipValue(type: number, nesting: number): Promise<void> {
    const bytes = VALUE_BYTES.get(type);
    if (bytes !== undefined) this.#cursor.skip(bytes);
    else if (type === STRING) this.#cursor.skip(await this.#cursor.u64());
    else if (type === ARRAY) await this.#skipArray(nesting + 1);
    else throw malformed(this.#file, `its metadata have a value of the unknown type ${type}`);
  }

  async #skipArray(nesting: number): Promise<void> {
    if (nesting > MAX_NESTING) throw tooMuch(this.#file, 'arrays of its metadata are nested too deeply');
    const type = await this.#cursor.u32();
    const count = await this.#cursor.u64();
    const bytes = VALUE_BYTES.get(type);
    // The product may be inexact only where it is larger than any file.
    if (bytes !== undefined) return this.#cursor.skip(count * bytes);
    this.#cursor.require(count * 8);
    this.#itemsLeft -= count;
    if (this.#itemsLeft < 0) throw tooMuch(this.#file, `arrays of its metadata have more than ${MAX_ITEMS} items`);
    for (let index = 0; index < count; index++) await this.#skipValue(type, nesting);
  }

  async #entry(alignment: number): Promise<Entry> {
    const cursor = this.#cursor;
    const name = await this.#text(MAX_NAME_BYTES, 'the name of a tensor');
    const dimensions = await cursor.u32();
    if (dimensions > MAX_DIMENSIONS) throw malformed(this.#file, `${quoted(name)} has ${dimensions} dimensions`);
    const sizes: number[] = [];
    for (let index = 0; index < dimensions; index++) sizes.push(await cursor.u64());
    const typeNumber = await cursor.u32();
    const offset = await cursor.u64();
    const type = TYPES.get(typeNumber);
    if (!type) throw unknownType(this.#file, name, typeNumber);
    const [dtype, blockElements, blockBytes] = type;
    if ((sizes[0] ?? 1) % blockElements !== 0)
      throw malformed(this.#file, `a row of ${quoted(name)} is no whole number of blocks of ${dtype}`);
    if (offset % alignment !== 0) throw malformed(this.#file, `${quoted(name)} is not aligned to ${alignment} bytes`);
    const length = (elements(sizes) / BigInt(blockElements)) * BigInt(blockBytes);
    if (length > this.#size) throw malformed(this.#file, `${quoted(name)} is larger than the file`);
    return { name, dtype, shape: sizes.reverse(), offset, length: Number(length) };
  }

  async #text(most: number, what: string): Promise<string> {
    const length = await this.#cursor.u64();
    if (length > most) throw malformed(this.#file, `${what} claims ${length} bytes`);
    return utf8(this.#file, await this.#cursor.bytes(length), what);
  }
}
