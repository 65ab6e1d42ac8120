/**
 * Records in the row of a part which bytes were checked against which small part, so that publishing it again does not read them
 * again.
 */
import type { Connection } from '../database/connection.js';
import type { Check } from './parts.js';

type Table = 'disk_parts' | 'uploads';

export async function isChecked(connection: Connection, table: Table, part: string, { small, mark }: Check): Promise<boolean> {
  const row = await connection
    .selectFrom(table)
    .select('part')
    .where('part', '=', part)
    .where('checked_small', '=', small)
    .where('checked_mark', '=', mark)
    .executeTakeFirst();
  return row !== undefined;
}

export async function noteChecked(connection: Connection, table: Table, part: string, { small, mark }: Check): Promise<void> {
  await connection.updateTable(table).set({ checked_small: small, checked_mark: mark }).where('part', '=', part).execute();
}
