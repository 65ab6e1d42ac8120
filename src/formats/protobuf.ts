/** Goes through messages in the wire format of Protocol Buffers, without reading the fields that are passed over. */
import type { Cursor } from './reader.js';
import { malformed, tooMuch, utf8 } from './tensor.js';

/** A field of a message. The cursor stands at its value. */
export type Field =
  | { readonly number: number; readonly kind: 'varint'; readonly value: bigint }
  /** Bytes, text, a message, or packed numbers: `length` bytes from `offset` on. */
  | { readonly number: number; readonly kind: 'bytes'; readonly offset: number; readonly length: number }
  | { readonly number: number; readonly kind: 'fixed'; readonly offset: number; readonly length: 4 | 8 };

/** Handles one field. It reads any part of a field's value, or nothing. */
export type FieldHandler = (field: Field) => Promise<void> | void;

/** Fields of one file: what goes through them in a second or two. */
const MAX_FIELDS = 1 << 23;
const MAX_DEPTH = 64;
const MAX_VARINT = 10;
/** The most bytes in front of a field's value: its tag and its length. */
const FIELD_HEAD = 2 * MAX_VARINT;

export class MessageReader {
  readonly #cursor: Cursor;
  #fieldsLeft = MAX_FIELDS;
  #depth = 0;

  constructor(cursor: Cursor) {
    this.#cursor = cursor;
  }

  /** Calls `handle` for each field of the message that ends at byte `end`. */
  async message(end: number, handle: FieldHandler): Promise<void> {
    const cursor = this.#cursor;
    if (++this.#depth > MAX_DEPTH) throw tooMuch(cursor.file, 'its messages are nested too deeply');
    while (cursor.position < end) {
      if (this.#fieldsLeft-- === 0) throw tooMuch(cursor.file, `its messages have more than ${MAX_FIELDS} fields`);
      if (!cursor.holds(FIELD_HEAD)) await cursor.fill(FIELD_HEAD);
      const field = this.#field(end);
      const after = field.kind === 'varint' ? cursor.position : field.offset + field.length;
      if (after > end) throw malformed(cursor.file, `a field reaches beyond the message that ends at byte ${end}`);
      const handling = handle(field);
      // Most fields are passed over: without a turn of the event loop for each.
      if (handling) await handling;
      cursor.skip(after - cursor.position);
    }
    this.#depth -= 1;
  }

  async text({ length }: { readonly length: number }, most: number): Promise<string> {
    if (length > most) throw tooMuch(this.#cursor.file, `a name of ${length} bytes`);
    return utf8(this.#cursor.file, await this.#cursor.bytes(length), 'a name');
  }

  /** At most ten bytes, of 64 bits. */
  #varint(): bigint {
    let low = 0;
    for (let index = 0; index < 4; index++) {
      const byte = this.#cursor.byte();
      low += (byte & 0x7f) << (7 * index);
      if (byte < 0x80) return BigInt(low);
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#cursor.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw malformed(this.#cursor.file, `the number at byte ${this.#cursor.position} has more than ten bytes`);
  }

  /** Packed numbers of a field. */
  async varints(
    { offset, length }: { readonly offset: number; readonly length: number },
    most: number,
  ): Promise<readonly bigint[]> {
    const values: bigint[] = [];
    while (this.#cursor.position < offset + length) {
      if (values.length === most) throw tooMuch(this.#cursor.file, `a list of more than ${most} numbers`);
      if (!this.#cursor.holds(MAX_VARINT)) await this.#cursor.fill(MAX_VARINT);
      values.push(this.#varint());
    }
    if (this.#cursor.position > offset + length)
      throw malformed(this.#cursor.file, `the numbers at byte ${offset} do not end where they must`);
    return values;
  }

  #field(end: number): Field {
    const cursor = this.#cursor;
    const tag = Number(this.#varint());
    const number = Math.floor(tag / 8);
    if (number < 1 || number >= 1 << 29) throw malformed(cursor.file, `no field can stand at byte ${cursor.position}`);
    switch (tag % 8) {
      case 0:
        return { number, kind: 'varint', value: this.#varint() };
      case 1:
        return { number, kind: 'fixed', offset: cursor.position, length: 8 };
      case 2: {
        const length = this.#varint();
        const offset = cursor.position;
        if (length > end - offset) throw malformed(cursor.file, `the field at byte ${offset} claims ${length} bytes`);
        return { number, kind: 'bytes', offset, length: Number(length) };
      }
      case 5:
        return { number, kind: 'fixed', offset: cursor.position, length: 4 };
      default:
        throw malformed(cursor.file, `the field at byte ${cursor.position} has a wire type that is not used`);
    }
  }
}
