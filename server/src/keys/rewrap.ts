/**
 * Wraps small parts and fragments to a new key in batches: natively outside of transactions, then stored if the row is unchanged.
 * Big parts are not read.
 */
import { isModelGuardError, resealFragment, rewrapForServer } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Context } from '../context.js';
import type { Schema } from '../database/schema.js';

/** Most rows of one transaction. */
const BATCH = 32;
/** Most bytes of one transaction. */
const BATCH_BYTES = 8 * 1024 * 1024;

/** Stores the new wrapping, unless the row was written meanwhile. */
type Store = (trx: Transaction<Schema>) => Promise<unknown>;
interface Wrapping {
  /** The resource, for the log. */
  readonly name: string;
  /** Wraps natively. */
  wrap(): Promise<{ readonly store: Store; readonly bytes: number } | undefined>;
}

/** The wrappings of one table, in its order. */
type Wrappings = (context: Context, to: string) => AsyncGenerator<Wrapping>;

const versions: Wrappings = async function* (context, to) {
  const { db, keys } = context;
  for (let after = { name: '', version: '' }; ; ) {
    const rows = await db
      .selectFrom('versions')
      .select(['name', 'version'])
      .where('wrapped_to', '!=', to)
      .where(({ eb, refTuple, tuple }) => eb(refTuple('name', 'version'), '>', tuple(after.name, after.version)))
      .orderBy('name')
      .orderBy('version')
      .limit(BATCH)
      .execute();
    const last = rows.at(-1);
    if (!last) return;
    after = last;
    for (const { name, version } of rows)
      yield {
        name: `model:${name}@${version}`,
        wrap: async () => {
          const where = { name, version };
          const row = await db
            .selectFrom('versions')
            .select(['small', 'wrapped_to', 'publisher'])
            .where('name', '=', name)
            .where('version', '=', version)
            .where('wrapped_to', '!=', to)
            .executeTakeFirst();
          const key = keys.find(to);
          if (!row || !key) return undefined;
          if (!keys.find(row.wrapped_to)) throw keys.missing(row.wrapped_to);
          const opening = { small: row.small, ref: where, publishers: [row.publisher], keys: keys.all(), to: key };
          const small = Buffer.from(await rewrapForServer(opening));
          const store: Store = (trx) =>
            trx
              .updateTable('versions')
              .set({ small, wrapped_to: to })
              .where('name', '=', name)
              .where('version', '=', version)
              .where('wrapped_to', '=', row.wrapped_to)
              .where('small', '=', row.small)
              .execute();
          return { store, bytes: small.length };
        },
      };
  }
};

const fragments: Wrappings = async function* (context, to) {
  const { db, keys, serverId } = context;
  for (let after = ''; ; ) {
    const rows = await db
      .selectFrom('archives')
      .select(['name', 'fragment', 'wrapped_to'])
      .where('wrapped_to', '!=', to)
      .where('name', '>', after)
      .orderBy('name')
      .limit(BATCH)
      .execute();
    const last = rows.at(-1);
    if (!last) return;
    after = last.name;
    for (const { name, fragment: sealed, wrapped_to } of rows)
      yield {
        name: `archive:${name}`,
        wrap: async () => {
          const key = keys.find(wrapped_to);
          if (!key) throw keys.missing(wrapped_to);
          const fragment = Buffer.from(resealFragment({ key, sealed, to, serverId, name }));
          const store: Store = (trx) =>
            trx
              .updateTable('archives')
              .set({ fragment, wrapped_to: to })
              .where('name', '=', name)
              .where('wrapped_to', '=', wrapped_to)
              .where('fragment', '=', sealed)
              .execute();
          return { store, bytes: fragment.length };
        },
      };
  }
};

/**
 * Wraps everything to `to` that is wrapped to another key. A row that cannot be opened stays as it is and is logged, so that it
 * does not keep the rest under the old key. `stopped` is called before each row.
 * @throws NOT_FOUND where the key `to` is not loaded
 */
export async function rewrapAll(context: Context, to: string, stopped: () => boolean | Promise<boolean>): Promise<void> {
  if (!context.keys.find(to)) throw context.keys.missing(to);
  for (const wrappings of [versions, fragments]) {
    let waiting: Store[] = [];
    let bytes = 0;
    const flush = async (): Promise<void> => {
      const batch = waiting;
      waiting = [];
      bytes = 0;
      if (batch.length > 0)
        await context.db.transaction().execute(async (trx) => {
          for (const store of batch) await store(trx);
        });
    };
    for await (const wrapping of wrappings(context, to)) {
      if (await stopped()) return;
      const wrapped = await wrapOrLog(context, wrapping);
      if (!wrapped) continue;
      waiting.push(wrapped.store);
      bytes += wrapped.bytes;
      if (waiting.length >= BATCH || bytes >= BATCH_BYTES) await flush();
    }
    await flush();
  }
}

async function wrapOrLog({ log }: Context, { name, wrap }: Wrapping) {
  try {
    return await wrap();
  } catch (error) {
    const code = isModelGuardError(error) ? error.code : 'INTERNAL';
    log.error({ resource: name, code, err: error }, 'could not be wrapped to the new key');
    return undefined;
  }
}
