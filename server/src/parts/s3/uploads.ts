/** Uploads in pieces, straight from the publisher to the bucket: this server signs the URL of each piece and keeps the rows. */
import {
  choosePieceBytes,
  countPieces,
  ModelGuardError,
  permits,
  pieceSize,
  type StoredPiece,
} from '@org/model-guard/server-kit';
import { confirmRights } from '../../accounts/rights.js';
import type { Member } from '../../base/caller.js';
import type { Context } from '../../context.js';
import {
  type CompletedUpload,
  noUpload,
  otherBytes,
  type PieceUrls,
  type Recording,
  type Ref,
  treeOf,
  type UploadPlan,
} from '../parts.js';
import type { Bucket } from './bucket.js';
import type { UploadRow, UploadRows } from './upload-rows.js';

const MIB = 1024 * 1024;

const piecesOf = ({ size, piece_bytes: pieceBytes }: UploadRow): number => countPieces(size, pieceBytes);
/** Bytes of a piece; 0 where the part has no such piece. */
const bytesOf = ({ size, piece_bytes: pieceBytes }: UploadRow, number: number): number => pieceSize(number, size, pieceBytes);

/** A piece of another length was not sent to a URL of this server. */
const usable = (row: UploadRow, pieces: readonly StoredPiece[]): readonly StoredPiece[] =>
  pieces.filter(({ number, size }) => size > 0 && size === bytesOf(row, number));

export class BucketUploads {
  readonly #context: Pick<Context, 'config' | 'db' | 'now'>;
  readonly #bucket: Bucket;
  readonly #rows: UploadRows;
  /** Least bytes of a piece, whole MiB. */
  readonly #least: number;

  constructor(context: Pick<Context, 'config' | 'db' | 'now'>, bucket: Bucket, rows: UploadRows, least: number) {
    this.#context = context;
    this.#bucket = bucket;
    this.#rows = rows;
    this.#least = Math.ceil(least / MIB) * MIB;
  }

  async begin(member: Member, ref: Ref, part: string, size: number): Promise<UploadPlan> {
    const row = (await this.#rows.ofPart(part)) ?? (await this.#newRow(member, ref, part, size));
    if (row.size !== size) throw otherBytes(part);
    // First, so that a request of another account does not keep an upload from being given up.
    if (row.state !== 'stored') await this.#demandOwn(member, row);
    if (!(await this.#rows.touch(part))) throw beingRemoved(row);
    if (row.state !== 'stored') return await this.#goOn(row);
    if ((await this.#rows.isNamed(part)) || (await this.#isThere(part, size))) return { kind: 'stored' };
    await this.#demandOwn(member, row);
    return await this.#goOn(await this.#reopened(row));
  }

  /** An object without a row, copied into the bucket or older than the database, is never replaced. */
  async #newRow(member: Member, { name, version }: Ref, part: string, size: number): Promise<UploadRow> {
    const state = (await this.#isThere(part, size)) ? 'stored' : 'open';
    const piece_bytes = choosePieceBytes(size, this.#least);
    return await this.#rows.begin(member, { name, version, part, size, piece_bytes, state });
  }

  /** @throws ALREADY_EXISTS if it has another length */
  async #isThere(part: string, size: number): Promise<boolean> {
    const found = await this.#bucket.size(part);
    if (found !== undefined && found !== size) throw otherBytes(part);
    return found !== undefined;
  }

  async #reopened(row: UploadRow): Promise<UploadRow> {
    // Another request of the same publisher may have done it.
    await this.#rows.reopen(row);
    const now = await this.#rows.find(row.id);
    if (now?.state !== 'open') throw noUpload(row.id);
    return now;
  }

  async #goOn(row: UploadRow): Promise<UploadPlan> {
    const { part, size } = row;
    if (size === 0) {
      await this.#bucket.put(part, new Uint8Array());
      await this.#stored(row);
      return { kind: 'stored' };
    }
    const pieces = await this.#pieces(row);
    if (pieces === 'complete') return { kind: 'stored' };
    const present = usable(row, pieces).map(({ number, size }) => ({ number, size }));
    return { kind: 'pieces', upload: row.id, pieceBytes: row.piece_bytes, present };
  }

  /** Begins the upload again where the bucket has none. */
  async #pieces(row: UploadRow): Promise<readonly StoredPiece[] | 'complete'> {
    if (row.storage_id !== '') {
      const pieces = await this.#bucket.pieces(row.part, row.storage_id);
      if (pieces) return pieces;
      if (await this.#isWhole(row)) return 'complete';
    }
    const id = await this.#bucket.create(row.part);
    if (await this.#rows.rename(row, id)) return [];
    // Another request of the same publisher began it at the same time.
    await this.#bucket.abort(row.part, id);
    const now = await this.#rows.find(row.id);
    if (now?.state !== 'open') throw noUpload(row.id);
    return (await this.#bucket.pieces(now.part, now.storage_id)) ?? [];
  }

  /** An earlier request completed it and ended before it wrote the row. */
  async #isWhole(row: UploadRow, record?: Recording): Promise<boolean> {
    if ((await this.#bucket.size(row.part)) !== row.size) return false;
    await this.#stored(row, record);
    return true;
  }

  async #stored(row: UploadRow, record?: Recording): Promise<void> {
    if (await this.#rows.store(row, record)) return;
    // Another request has given it up or completed it.
    if ((await this.#rows.find(row.id))?.state !== 'stored') throw noUpload(row.id);
  }

  async pieceUrls(member: Member, upload: string, numbers: readonly number[]): Promise<PieceUrls> {
    const row = await this.#open(member, upload);
    const pieces = numbers.map((number) => ({ number, size: bytesOf(row, number) }));
    const beyond = pieces.find(({ size }) => size === 0);
    if (beyond)
      throw new ModelGuardError('INVALID_ARGUMENT', `The part has ${piecesOf(row)} pieces, and no piece ${beyond.number}`);
    await this.#rows.touch(row.part);
    const { config, now } = this.#context;
    const validity = { now: now(), seconds: config.partUrlSeconds };
    const expires = validity.now + validity.seconds;
    return await Promise.all(
      pieces.map(async ({ number, size }) => {
        const url = await this.#bucket.pieceUrl(row.part, row.storage_id, { number, size }, validity);
        return { number, url, expires };
      }),
    );
  }

  async complete(member: Member, upload: string, record: Recording): Promise<CompletedUpload> {
    const row = await this.#mine(member, upload);
    const whole = { name: row.part, size: row.size };
    if (row.state === 'stored') return whole;
    const pieces = row.storage_id === '' ? undefined : await this.#bucket.pieces(row.part, row.storage_id);
    if (pieces) {
      const all = usable(row, pieces);
      const missing = piecesOf(row) - all.length;
      if (missing > 0)
        throw new ModelGuardError('INVALID_ARGUMENT', `${missing} of ${piecesOf(row)} pieces are missing`, {
          advice: 'Begin the upload again: the answer says which are there.',
        });
      if (await this.#bucket.complete(row.part, row.storage_id, all)) {
        await this.#stored(row, stillOwn(member, row, record));
        return whole;
      }
    }
    if (await this.#isWhole(row, stillOwn(member, row, record))) return whole;
    throw noUpload(upload);
  }

  async abort(member: Member, upload: string, record: Recording): Promise<void> {
    const row = await this.#mine(member, upload);
    if (row.state === 'stored' || !(await this.#rows.giveUp(row, stillOwn(member, row, record))))
      throw new ModelGuardError('INVALID_ARGUMENT', `The upload of ${row.part} is over`, {
        advice: 'A part that no version names goes a day after it was last used.',
      });
    await this.remove(row);
  }

  /** Removes the upload and the object of a row that was given up; the row last, so that a later pass continues after a crash. */
  async remove(row: UploadRow): Promise<void> {
    if (row.storage_id !== '') await this.#bucket.abort(row.part, row.storage_id);
    // It may have been completed meanwhile, and is an object then.
    for (const object of [row.part, treeOf(row.part)]) await this.#bucket.remove(object);
    await this.#rows.remove(row);
  }

  async #open(member: Member, upload: string): Promise<UploadRow> {
    const row = await this.#mine(member, upload);
    if (row.state === 'open' && row.storage_id !== '') return row;
    throw noUpload(upload);
  }

  /** NOT_FOUND, NOT_AUTHORISED */
  async #mine(member: Member, upload: string): Promise<UploadRow> {
    const row = await this.#rows.find(upload);
    if (!row || row.state === 'removing') throw noUpload(upload);
    await this.#demandOwn(member, row);
    return row;
  }

  /** Reads the rights again. @throws NOT_AUTHENTICATED, NOT_AUTHORISED */
  async #demandOwn(member: Member, row: UploadRow): Promise<void> {
    refuseOthers(await confirmRights(this.#context.db, member), row);
  }
}

/** Reads the row again in the transaction of the change: the bucket may have taken long. */
const stillOwn =
  (member: Member, row: UploadRow, record: Recording): Recording =>
  async (trx, part) => {
    refuseOthers(await confirmRights(trx, member), row);
    await record(trx, part);
  };

/** Accounts that decide about versions may continue every upload. */
function refuseOthers({ account }: Member, row: UploadRow): void {
  if (row.account === account.id || permits(account.role, 'models.decide')) return;
  throw new ModelGuardError('NOT_AUTHORISED', `Another account is uploading ${row.part}`, {
    advice: 'Protect the model again, which gives the part a new name.',
  });
}

const beingRemoved = ({ part }: UploadRow): ModelGuardError =>
  new ModelGuardError('ALREADY_EXISTS', `${part} was not used for a day and is being removed`, {
    advice: 'Try again in an hour, or protect the model again, which gives the part a new name.',
  });
