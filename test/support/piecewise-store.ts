/** A store in memory that takes big parts in pieces and keeps what it has of them, as storage over a network does. */
import { ModelGuardError, memoryStore, type PartStore } from '../../src/index.js';

export interface Piecewise extends PartStore {
  /** Numbers of pieces in the order in which they were sent, over all runs. */
  readonly sent: number[];
  /** Uploads that are neither complete nor given up. */
  readonly open: ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>;
}

/** `before` is called with the number of every piece, before it is taken; what it throws ends the upload there. */
export function piecewise(pieceBytes: number, before: (number: number) => unknown = () => undefined): Piecewise {
  const inner = memoryStore();
  const open = new Map<string, Map<number, Uint8Array>>();
  const sent: number[] = [];
  let uploads = 0;
  return {
    sent,
    open,
    getSmall: (...args) => inner.getSmall(...args),
    putSmall: (...args) => inner.putSmall(...args),
    openBig: (...args) => inner.openBig(...args),
    list: (...args) => inner.list(...args),
    collect: (...args) => inner.collect(...args),
    async putBig(ref, name, source, options) {
      if (source.file === undefined) return inner.putBig(ref, name, source, options);
      const noted = await source.notes?.read();
      const id = noted !== undefined && open.has(noted) ? noted : `upload-${++uploads}`;
      const pieces = open.get(id) ?? new Map<number, Uint8Array>();
      open.set(id, pieces);
      await source.notes?.write(id);
      source.skipped?.([...pieces.values()].reduce((sum, { length }) => sum + length, 0));
      for (let at = 0; at < source.size; at += pieceBytes) {
        const number = at / pieceBytes;
        if (pieces.has(number)) continue;
        await before(number);
        sent.push(number);
        pieces.set(number, await exactly(source.stream(at), Math.min(pieceBytes, source.size - at)));
      }
      async function* whole(): AsyncGenerator<Uint8Array, void, undefined> {
        for (let number = 0; number < pieces.size; number += 1) yield pieces.get(number) ?? new Uint8Array();
      }
      await inner.putBig(ref, name, { size: source.size, stream: whole, tree: () => source.tree() }, options);
      open.delete(id);
    },
    async abandonBig(_ref, _name, notes) {
      if (!open.delete(notes)) throw new ModelGuardError('NOT_FOUND', `there is no upload ${notes}`);
    },
  };
}

async function exactly(stream: AsyncIterable<Uint8Array>, length: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let done = 0;
  for await (const piece of stream) {
    pieces.push(piece.subarray(0, length - done));
    done += pieces.at(-1)?.length ?? 0;
    if (done === length) break;
  }
  return new Uint8Array(Buffer.concat(pieces));
}
