import type { Kysely, Transaction } from 'kysely';
import type { Schema } from './schema.js';

export type Database = Kysely<Schema>;
/** A transaction, or the database where none is needed. */
export type Connection = Database | Transaction<Schema>;
