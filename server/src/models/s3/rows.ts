/** The table `uploads`: which parts are in the bucket, or on their way there. Nothing is in the bucket that no row told of before. */
import { randomBytes } from 'node:crypto';
import type { Selectable } from 'kysely';
import type { Context } from '../../context.js';
import type { UploadTable } from '../../database/schema.js';

export type UploadRow = Selectable<UploadTable>;
type Begun = Pick<UploadRow, 'name' | 'version' | 'part' | 'size' | 'piece_bytes' | 'account'>;

export class UploadRows {
  readonly #context: Pick<Context, 'db' | 'now'>;

  constructor(context: Pick<Context, 'db' | 'now'>) {
    this.#context = context;
  }

  find(id: string): Promise<UploadRow | undefined> {
    return this.#context.db.selectFrom('uploads').selectAll().where('id', '=', id).executeTakeFirst();
  }

  ofPart(part: string): Promise<UploadRow | undefined> {
    return this.#context.db.selectFrom('uploads').selectAll().where('part', '=', part).executeTakeFirst();
  }

  /** The row of a part: a new one, unless there is one. */
  async begin(begun: Begun): Promise<UploadRow> {
    const { db, now } = this.#context;
    const [id, time] = [randomBytes(16).toString('hex'), now()];
    await db
      .insertInto('uploads')
      .values({ ...begun, id, storage_id: '', state: 'open', created: time, touched: time })
      .onConflict((conflict) => conflict.column('part').doNothing())
      .execute();
    return await db.selectFrom('uploads').selectAll().where('part', '=', begun.part).executeTakeFirstOrThrow();
  }

  /** False where somebody else was faster. */
  async rename({ id, storage_id: before }: UploadRow, storageId: string): Promise<boolean> {
    return await this.#change(id, 'open', { storage_id: storageId }, before);
  }

  /** False where the upload is not open any more. */
  store({ id }: UploadRow): Promise<boolean> {
    return this.#change(id, 'open', { state: 'stored' });
  }

  /** From now on nobody may use it; false where it is not open any more. */
  giveUp({ id }: UploadRow): Promise<boolean> {
    return this.#change(id, 'open', { state: 'removing' });
  }

  async #change(
    id: string,
    state: UploadRow['state'],
    change: Partial<Pick<UploadRow, 'state' | 'storage_id'>>,
    storageId?: string,
  ): Promise<boolean> {
    const { db, now } = this.#context;
    let query = db
      .updateTable('uploads')
      .set({ ...change, touched: now() })
      .where('id', '=', id)
      .where('state', '=', state);
    if (storageId !== undefined) query = query.where('storage_id', '=', storageId);
    const { numUpdatedRows } = await query.executeTakeFirst();
    return numUpdatedRows > 0n;
  }

  /** Nothing gives it up for a day from now; false where that has happened. */
  async touch(part: string): Promise<boolean> {
    const { db, now } = this.#context;
    const query = db.updateTable('uploads').set({ touched: now() }).where('part', '=', part).where('state', '<>', 'removing');
    return (await query.executeTakeFirst()).numUpdatedRows > 0n;
  }

  /** Gives up whatever no version names and nobody used since `before`; what is to be removed then, also from earlier times. */
  async giveUpUnused(before: number): Promise<readonly UploadRow[]> {
    const { db } = this.#context;
    // Whoever publishes touches the part first, so that one of the two is too late.
    await db
      .updateTable('uploads')
      .set({ state: 'removing' })
      .where('touched', '<', before)
      .where('state', '<>', 'removing')
      .where(({ not, exists, selectFrom }) =>
        not(exists(selectFrom('versions').select('big_name').whereRef('versions.big_name', '=', 'uploads.part'))),
      )
      .execute();
    return await db.selectFrom('uploads').selectAll().where('state', '=', 'removing').execute();
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
