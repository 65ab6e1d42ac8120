/** Lists in pages. A cursor names the last row that was given, so that rows which come and go meanwhile move nothing. */
import { WrongField } from '../wrong-field.js';

/** What every list is asked. */
export interface PageQuery {
  readonly cursor?: string | undefined;
  readonly limit: number;
}
export interface Page<Item> {
  items: Item[];
  next?: string | undefined;
}

/** A page of `rows`, of which one more than `limit` was read to see whether there is another page. */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  limit: number,
  cursorOf: (row: Row) => string,
  itemOf: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown.map(itemOf), ...(rows.length > limit && last !== undefined && { next: cursorOf(last) }) };
}

/** `<text>.<number>`; the text may hold dots itself. INVALID_ARGUMENT */
export function splitCursor(cursor: string): { text: string; number: number } {
  const found = /^(.+)\.([0-9]{1,15})$/.exec(cursor);
  if (!found?.[1]) throw new WrongField('cursor', 'is not a cursor of this list');
  return { text: found[1], number: Number(found[2]) };
}

interface Dated {
  readonly id: string;
  readonly created: number;
}
/** Of lists by time and id. */
export const datedCursor = ({ id, created }: Dated): string => `${id}.${created}`;
/** Where such a list goes on. */
export function datedStart(cursor: string | undefined): Dated {
  if (cursor === undefined) return { id: '', created: -1 };
  const { text, number } = splitCursor(cursor);
  return { id: text, created: number };
}
