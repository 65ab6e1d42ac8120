/** The table `uploads`: which parts are in the bucket, or on their way there. Nothing is in the bucket that no row told of before. */
import { randomBytes } from 'node:crypto';
import { ModelGuardError } from '@org/model-guard/server-kit';
import type { ExpressionBuilder, Selectable, Transaction } from 'kysely';
import { confirmRights } from '../../accounts/rights.js';
import type { Connection, Context, Member } from '../../context.js';
import type { Schema, UploadTable } from '../../database/schema.js';
import { otherBytes, type Recording } from '../parts.js';
import { refuseBeyondQuota } from '../quota.js';

export type UploadRow = Selectable<UploadTable>;
type Begun = Pick<UploadRow, 'name' | 'version' | 'part' | 'size' | 'piece_bytes' | 'account'> & {
  readonly state: 'open' | 'stored';
};
type Change = Partial<Pick<UploadRow, 'state' | 'storage_id' | 'checked_small' | 'checked_mark'>>;

/** Of one account, on their way at once. */
const OPEN_UPLOADS = 64;
/** Far longer than the requests for one part take: whoever has not removed it by then was killed. */
const CLAIMED_SECONDS = 3600;
/** By so much the clocks of the server's processes may differ. */
const SKEW_SECONDS = 120;

/** What a version names stays. */
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
   * The row of a part: a new one, unless there is one.
   * @throws ALREADY_EXISTS if it would be sent, and a version names it; LIMIT_EXCEEDED
   */
  async begin(member: Member, given: Omit<Begun, 'account'>): Promise<UploadRow> {
    const { config, db, now } = this.#context;
    return await db.transaction().execute(async (trx) => {
      const { account } = await confirmRights(trx, member);
      const begun: Begun = { ...given, account: account.id };
      const known = await trx.selectFrom('uploads').selectAll().where('part', '=', begun.part).executeTakeFirst();
      if (known) return known;
      if (begun.state === 'open') {
        // It may come into the bucket in another way, later.
        if (await isNamed(trx, begun.part)) throw otherBytes(begun.part);
        await refuseMany(trx, begun.account);
        await refuseBeyondQuota(trx, config, begun.account, begun.size);
      }
      const [id, time] = [randomBytes(16).toString('hex'), now()];
      const row = { ...begun, id, storage_id: '', created: time, touched: time };
      return await trx.insertInto('uploads').values(row).returningAll().executeTakeFirstOrThrow();
    });
  }

  /** False where somebody else was faster. */
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

  /** From now on nobody may use it; false where it is not open any more, or a version names it. */
  giveUp({ id, part }: UploadRow, record: Recording): Promise<boolean> {
    return this.#context.db.transaction().execute(async (trx) => {
      const givenUp = await isDone(this.#change(trx, id, 'open', { state: 'removing' }).where(unnamed));
      if (givenUp) await record(trx, part);
      return givenUp;
    });
  }

  /** From the beginning, where the bucket has lost what was stored; false where somebody else was faster, or a version names it. */
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

  /** Nothing gives it up for a day from now; false where that has happened. */
  async touch(part: string): Promise<boolean> {
    const { db, now } = this.#context;
    return await isDone(
      db.updateTable('uploads').set({ touched: now() }).where('part', '=', part).where('state', '<>', 'removing'),
    );
  }

  /**
   * Gives up a part that no version names and nobody used since `before`, or one that was given up and is still there: the caller alone is
   * to remove it, at once. One at a time, so that nobody goes by a list that others have worked through meanwhile.
   */
  async claimUnused(before: number): Promise<UploadRow | undefined> {
    const { db, now } = this.#context;
    const touched = now();
    // A clock that was ahead keeps nothing for longer than a day.
    await db
      .updateTable('uploads')
      .set({ touched })
      .where('touched', '>', touched + SKEW_SECONDS)
      .execute();
    const removable = (eb: ExpressionBuilder<Schema, 'uploads'>) =>
      eb.or([
        // Whoever publishes touches the part first, so that one of the two is too late.
        eb.and([eb('state', '<>', 'removing'), eb('touched', '<', before), unnamed(eb)]),
        eb.and([eb('state', '=', 'removing'), eb('touched', '<', touched - CLAIMED_SECONDS)]),
      ]);
    return await db
      .updateTable('uploads')
      .set({ state: 'removing', touched })
      .where('id', '=', ({ selectFrom }) => selectFrom('uploads').select('id').where(removable).orderBy('touched').limit(1))
      // Once more, of the row itself: another replica may have claimed it since it was found.
      .where(removable)
      .returningAll()
      .executeTakeFirst();
  }

  async remove({ id }: UploadRow): Promise<void> {
    await this.#context.db.deleteFrom('uploads').where('id', '=', id).where('state', '=', 'removing').execute();
  }

  /** What the bucket calls the uploads that are told of. */
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
      advice: 'Complete or give up one of them; what nobody uses goes after a day.',
    });
}
