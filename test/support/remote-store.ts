/** A store whose big parts come over a network, as far as anybody can tell, and that counts how often they are asked for. */
import { memoryStore, type OpenBigPart, type PartStore } from '../../src/index.js';

export interface RemoteStore extends PartStore {
  /** How often a big part was opened. */
  opened: number;
  /** Called with each read, and may change or refuse it. */
  onRead: ((bytes: Uint8Array, offset: number) => Uint8Array | Promise<Uint8Array>) | undefined;
  /** In pieces of so many bytes. */
  pieceBytes: number | undefined;
}

export function remoteStore(): RemoteStore {
  const inner = memoryStore();
  const store: RemoteStore = {
    opened: 0,
    onRead: undefined,
    pieceBytes: undefined,
    getSmall: (...args) => inner.getSmall(...args),
    putSmall: (...args) => inner.putSmall(...args),
    putBig: (...args) => inner.putBig(...args),
    list: (...args) => inner.list(...args),
    collect: (...args) => inner.collect(...args),
    openBig: async (...args): Promise<OpenBigPart> => {
      store.opened += 1;
      const part = await inner.openBig(...args);
      return {
        size: part.size,
        remote: true,
        read: async (offset, length) => {
          const [bytes] = [await part.read(offset, length)].flat() as Uint8Array[];
          const given = (await store.onRead?.(bytes!.slice(), offset)) ?? bytes!.slice();
          return store.pieceBytes === undefined ? given : cut(given, store.pieceBytes);
        },
        tree: () => part.tree(),
        close: () => part.close(),
      };
    },
  };
  return store;
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
  return pieces;
}
