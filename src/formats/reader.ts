/** Reads a model file by ranges, so that a table of tensors is read without the tensors. */
import { malformed } from './tensor.js';

/** A file of a model. The caller gives only ranges within `size`. */
export interface RangeReader {
  /** Bytes. */
  readonly size: number;
  /** Exactly `length` bytes from `offset` on. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** One read takes this much, so that a table of small fields costs few reads. */
const WINDOW = 128 * 1024;

/** Goes through a file from its start. A read beyond the end of the file is TENSORS_MALFORMED before any byte is read. */
export class Cursor {
  readonly #reader: RangeReader;
  readonly file: string;
  #window: DataView = new DataView(new ArrayBuffer(0));
  #start = 0;
  #position = 0;

  constructor(reader: RangeReader, file: string) {
    this.#reader = reader;
    this.file = file;
  }

  get position(): number {
    return this.#position;
  }

  get left(): number {
    return this.#reader.size - this.#position;
  }

  /** Refuses a length that the rest of the file cannot hold. */
  require(length: number): void {
    if (length > this.left) throw malformed(this.file, `it ends before the ${length} bytes that follow byte ${this.#position}`);
  }

  skip(length: number): void {
    this.require(length);
    this.#position += length;
  }

  /** Whether the next `length` bytes, or all that are left, are in memory. */
  holds(length: number): boolean {
    const at = this.#position - this.#start;
    return at >= 0 && at + Math.min(length, this.left) <= this.#window.byteLength;
  }

  /** Reads so that {@link holds} is true. */
  async fill(length: number): Promise<void> {
    const bytes = await this.#reader.read(this.#position, Math.min(Math.max(length, WINDOW), this.left));
    this.#window = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#start = this.#position;
  }

  /** The next byte, which must be in memory. */
  byte(): number {
    this.require(1);
    return this.#window.getUint8(this.#position++ - this.#start);
  }

  async bytes(length: number): Promise<Uint8Array> {
    const at = await this.#take(length);
    return new Uint8Array(this.#window.buffer, this.#window.byteOffset + at, length);
  }

  // Each takes its place first: the window may be another one after that.
  async u32(): Promise<number> {
    const at = await this.#take(4);
    return this.#window.getUint32(at, true);
  }

  /** A number of 64 bits that must be a count or an offset: at most 2^53 - 1. */
  async u64(): Promise<number> {
    const at = await this.#take(8);
    const value = this.#window.getBigUint64(at, true);
    if (value > Number.MAX_SAFE_INTEGER) throw malformed(this.file, `${value} is no size or offset that a file can have`);
    return Number(value);
  }

  /** Where in the window the next `length` bytes lie. */
  async #take(length: number): Promise<number> {
    this.require(length);
    if (!this.holds(length)) await this.fill(length);
    const at = this.#position - this.#start;
    this.#position += length;
    return at;
  }
}
