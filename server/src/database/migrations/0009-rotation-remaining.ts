/** The rows that a finished rotation could not wrap: later rotations change what the tables show. */
import type { TableDialect } from '../dialect.js';

/** The statements in a database's dialect. Of earlier rotations, the rows that are still wrapped to their old key are counted. */
export const rotationRemaining = ({ number }: TableDialect): readonly string[] => [
  `ALTER TABLE rotations ADD COLUMN remaining ${number} CHECK (remaining >= 0)`,
  `UPDATE rotations SET remaining = (SELECT count(*) FROM versions WHERE wrapped_to = rotations.from_key)
    + (SELECT count(*) FROM archives WHERE wrapped_to = rotations.from_key) WHERE finished IS NOT NULL`,
];
