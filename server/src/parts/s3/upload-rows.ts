/** The table `uploads`: parts that are in the bucket, or are being uploaded. A row is written before its object is uploaded. */
import { randomBytes } from 'node:crypto';
import { ModelGuardError } from '@org/model-guard/server-kit';
import type { ExpressionBuilder, Selectable, Transaction } from 'kysely';
import { confirmRights } from '../../accounts/rights.js';
import type { Member } from '../../base/caller.js';
import type { Context } from '../../context.js';
import type { Connection } from '../../database/connection.js';
import type { Schema, UploadTable } from '../../database/schema.js';
import { otherBytes, type Recording } from '../parts.js';
import { refuseBeyondQuota } from '../quota.js';

export type UploadRow = Selectable<UploadTable>;
type StartedUpload = Pick<UploadRow, 'name' | 'version' | 'part' | 'size' | 'piece_bytes' | 'account'> & {
  readonly state: 'open' | 'stored';
};
type Change = Partial<Pick<UploadRow, 'state' | 'storage_id' | 'checked_small' | 'checked_mark'>>;

/** Open uploads of one account. */
const OPEN_UPLOADS = 64;
/** Seconds; far longer than the requests for one part take. A process that has not removed the part by then was killed. */
const CLAIMED_SECONDS = 3600;
/** Seconds by which the clocks of the server's processes may differ. */
const SKEW_SECONDS = 120;

/** No version names the part. */
const unnamed = ({ not, exists, selectFrom }: ExpressionBuilder<Schema, 'uploads'>) =>
  not(exists(selectFrom('versions').select('big_name').whereRef('versions.big_name', '=', 'uploads.part')));

export class UploadRows {
  readonly #context: Pick<Context, 'config' | 'db' | 'now'>;

  constructor(context: Pick<Context, 'config' | 'db' | 'now'>) {
    this.#context = context;
  }

  find(id: string): Promise<UploadRow | undefined> {
    return this.#context.db.selectFrom('uploads').selectAll().where('id', '=', id).executeTakeFirst();
  }

  ofPart(part: string): Promise<UploadRow | undefined> {
    return this.#context.db.selectFrom('uploads').selectAll().where('part', '=', part).executeTakeFirst();
  }

  /** Whether a version names the part. */
  isNamed(part: string): Promise<boolean> {
    return isNamed(this.#context.db, part);
  }

  /**
   * The row of a part: the existing one, else a new one.
   * @throws ALREADY_EXISTS if it would be uploaded, and a version names it; LIMIT_EXCEEDED
   */
  async begin(member: Member, given: Omit<StartedUpload, 'account'>): Promise<UploadRow> {
    const { config, db, now } = this.#context;
    return await db.transaction().execute(async (trx) => {
      const { account } = await confirmRights(trx, member);
      const begun: StartedUpload = { ...given, account: account.id };
      const known = await trx.selectFrom('uploads').selectAll().where('part', '=', begun.part).executeTakeFirst();
      if (known) return known;
      if (begun.state === 'open') {
        // A version names it without a row: the part was uploaded in another way.
        if (await isNamed(trx, begun.part)) throw otherBytes(begun.part);
        await refuseMany(trx, begun.account);
        await refuseBeyondQuota(trx, config, begun.account, begun.size);
      }
      const [id, time] = [randomBytes(16).toString('hex'), now()];
      const row = { ...begun, id, storage_id: '', created: time, touched: time };
      return await trx.insertInto('uploads').values(row).returningAll().executeTakeFirstOrThrow();
    });
  }

  /** False where another request was faster. */
  async rename({ id, storage_id: before }: UploadRow, storageId: string): Promise<boolean> {
    return await isDone(this.#change(this.#context.db, id, 'open', { storage_id: storageId }).where('storage_id', '=', before));
  }

  /** False where the upload is not open any more. */
  store({ id, part }: UploadRow, record?: Recording): Promise<boolean> {
    return this.#context.db.transaction().execute(async (trx) => {
      const stored = await isDone(this.#change(trx, id, 'open', { state: 'stored' }));
      if (stored) await record?.(trx, part);
      return stored;
    });
  }

  /** Ends the use of an upload; false where it is not open any more, or a version names it. */
  giveUp({ id, part }: UploadRow, record: Recording): Promise<boolean> {
    return this.#context.db.transaction().execute(async (trx) => {
      const givenUp = await isDone(this.#change(trx, id, 'open', { state: 'removing' }).where(unnamed));
      if (givenUp) await record(trx, part);
      return givenUp;
    });
  }

  /** Reopens a stored upload whose object the bucket has lost; false where another request was faster, or a version names it. */
  reopen({ id, storage_id: before }: UploadRow): Promise<boolean> {
    const query = this.#change(this.#context.db, id, 'stored', {
      state: 'open',
      storage_id: '',
      checked_small: null,
      checked_mark: null,
    });
    return isDone(query.where('storage_id', '=', before).where(unnamed));
  }

  #change(connection: Connection, id: string, state: UploadRow['state'], change: Change) {
    const touched = this.#context.now();
    return connection
      .updateTable('uploads')
      .set({ ...change, touched })
      .where('id', '=', id)
      .where('state', '=', state);
  }

  /** Keeps the part for a day from now; false where it was given up already. */
  async touch(part: string): Promise<boolean> {
    const { db, now } = this.#context;
    return await isDone(
      db.updateTable('uploads').set({ touched: now() }).where('part', '=', part).where('state', '<>', 'removing'),
    );
  }

  /**
   * Gives up a part that no version names and that was not used since `before`, or one that was given up and still exists. The
   * caller alone removes it, at once. One part at a time, so that no process works on a list that another one has finished
   * meanwhile.
   */
  async claimUnused(before: number): Promise<UploadRow | undefined> {
    const { db, now } = this.#context;
    const touched = now();
    // A clock that was ahead keeps no part for longer than a day.
    await db
      .updateTable('uploads')
      .set({ touched })
      .where('touched', '>', touched + SKEW_SECONDS)
      .execute();
    const removable = (eb: ExpressionBuilder<Schema, 'uploads'>) =>
      eb.or([
        // Publishing touches the part first, so that either it or this claim is too late.
        eb.and([eb('state', '<>', 'removing'), eb('touched', '<', before), unnamed(eb)]),
        eb.and([eb('state', '=', 'removing'), eb('touched', '<', touched - CLAIMED_SECONDS)]),
      ]);
    return await db
      .updateTable('uploads')
      .set({ state: 'removing', touched })
      .where('id', '=', ({ selectFrom }) => selectFrom('uploads').select('id').where(removable).orderBy('touched').limit(1))
      // Again for the row itself: another replica may have claimed it since the subquery.
      .where(removable)
      .returningAll()
      .executeTakeFirst();
  }

  async remove({ id }: UploadRow): Promise<void> {
    await this.#context.db.deleteFrom('uploads').where('id', '=', id).where('state', '=', 'removing').execute();
  }

  /** The bucket's ids of uploads that have rows. */
  async storageIds(): Promise<ReadonlySet<string>> {
    const rows = await this.#context.db.selectFrom('uploads').select('storage_id').where('state', '<>', 'stored').execute();
    return new Set(rows.map((row) => row.storage_id));
  }
}

const isDone = async (query: { executeTakeFirst(): Promise<{ readonly numUpdatedRows: bigint }> }): Promise<boolean> =>
  (await query.executeTakeFirst()).numUpdatedRows > 0n;

const isNamed = async (connection: Connection, part: string): Promise<boolean> =>
  (await connection.selectFrom('versions').select('big_name').where('big_name', '=', part).limit(1).executeTakeFirst()) !==
  undefined;

async function refuseMany(trx: Transaction<Schema>, account: string): Promise<void> {
  const { open } = await trx
    .selectFrom('uploads')
    .select(({ fn }) => fn.countAll<number>().as('open'))
    .where('account', '=', account)
    .where('state', '=', 'open')
    .executeTakeFirstOrThrow();
  if (open >= OPEN_UPLOADS)
    throw new ModelGuardError('LIMIT_EXCEEDED', `This account has ${open} uploads that are not complete`, {
      advice: 'Complete or give up one of them; unused ones go after a day.',
    });
}
