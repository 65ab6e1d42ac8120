/** A store that calls back before each of its operations, and that can hide its files from the native engine. */
import type { ModelRef, OpenBigPart, PartStore } from '../../src/index.js';

export type Operation = 'getSmall' | 'putSmall' | 'putBig' | 'openBig' | 'read' | 'localTarget' | 'piece';
/** Called before an operation; what it returns is waited for. */
export type Hook = (operation: Operation, count: number) => Promise<void> | void;

export interface HookedOptions {
  /** No `file` and no `localTarget`: every byte passes through `read` and `stream`. */
  readonly streamed?: boolean;
}

export function hooked(inner: PartStore, hook: Hook, { streamed = false }: HookedOptions = {}): PartStore {
  const counts = new Map<Operation, number>();
  const before = async (operation: Operation): Promise<void> => {
    const count = (counts.get(operation) ?? 0) + 1;
    counts.set(operation, count);
    await hook(operation, count);
  };
  async function* pieces(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of stream) {
      await before('piece');
      yield piece;
    }
  }
  function opened(part: OpenBigPart): OpenBigPart {
    const { size, file } = part;
    return {
      size,
      ...(file === undefined || streamed ? {} : { file }),
      read: async (...args) => {
        await before('read');
        return part.read(...args);
      },
      tree: () => part.tree(),
      close: () => part.close(),
    };
  }
  const localTarget = async (ref: ModelRef, name: string): Promise<string> => {
    await before('localTarget');
    if (inner.localTarget === undefined) throw new Error('the inner store has no local target');
    return inner.localTarget(ref, name);
  };
  return {
    getSmall: async (...args) => {
      await before('getSmall');
      return inner.getSmall(...args);
    },
    putSmall: async (...args) => {
      await before('putSmall');
      return inner.putSmall(...args);
    },
    putBig: async (ref, name, source, options) => {
      await before('putBig');
      const stream = (offset?: number): AsyncIterable<Uint8Array> => pieces(source.stream(offset));
      const { size, file } = source;
      return inner.putBig(ref, name, { size, stream, tree: () => source.tree(), file }, options);
    },
    openBig: async (...args) => {
      await before('openBig');
      return opened(await inner.openBig(...args));
    },
    list: (...args) => inner.list(...args),
    collect: (...args) => inner.collect(...args),
    ...(inner.localTarget === undefined || streamed ? {} : { localTarget }),
  };
}
