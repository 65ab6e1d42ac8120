/** Lists in pages. A cursor names the last row of a page, so that rows that appear or vanish meanwhile move no other row. */
import { type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import { FieldError } from '../base/field-error.js';

/** The query of every list. */
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
  if (!found?.[1]) throw new FieldError('cursor', 'is not a cursor of this list');
  return { text: found[1], number: Number(found[2]) };
}

interface Dated {
  readonly id: string;
  readonly created: number;
}
/** The cursor of lists by time and id. */
export const datedCursor = ({ id, created }: Dated): string => `${id}.${created}`;
/** A page of such a list, and one row more. `query` reads the table, and may join others to it. */
export function datedPage<DB, TB extends keyof DB, Row>(
  query: SelectQueryBuilder<DB, TB, Row>,
  table: TB & string,
  { cursor, limit }: PageQuery,
): SelectQueryBuilder<DB, TB, Row> {
  const start = startOf(cursor);
  const [created, id] = [sql.ref(`${table}.created`), sql.ref(`${table}.id`)];
  return query
    .where(sql<SqlBool>`(${created}, ${id}) > (${start.created}, ${start.id})`)
    .orderBy(created)
    .orderBy(id)
    .limit(limit + 1);
}

function startOf(cursor: string | undefined): Dated {
  if (cursor === undefined) return { id: '', created: -1 };
  const { text, number } = splitCursor(cursor);
  return { id: text, created: number };
}
