/** A store that serves whatever it is told to, right or wrong, and counts what is asked of it. */
import { readFileSync } from 'node:fs';
import { type ModelGuardError, type ModelRef, memoryStore, type OpenBigPart, type PartStore } from '../../src/index.js';

export interface Served {
  readonly small: Uint8Array;
  readonly big: Uint8Array;
}

const label = (ref: ModelRef): string => `${ref.name}@${ref.version}`;

/** Both parts of what a store holds. */
export async function takeParts(store: PartStore, ref: ModelRef, bigName: string): Promise<Served> {
  const small = await store.getSmall(ref);
  const part = await store.openBig(ref, bigName);
  try {
    const big = part.file === undefined ? Buffer.concat([await part.read(0, part.size)].flat()) : readFileSync(part.file);
    return { small, big: Uint8Array.from(big) };
  } finally {
    await part.close();
  }
}

/** Serves parts by reference, whatever name the big part is asked for by. With `file`, the native engine reads it itself. */
export function serve(table: ReadonlyMap<string, Served & { readonly file?: string }>): PartStore {
  const inner = memoryStore();
  const find = (ref: ModelRef): Served & { readonly file?: string } => {
    const served = table.get(label(ref));
    if (served === undefined) throw new Error(`${label(ref)} is not served`);
    return served;
  };
  return {
    getSmall: async (ref) => find(ref).small.slice(),
    openBig: async (ref): Promise<OpenBigPart> => {
      const { big, file } = find(ref);
      return {
        size: big.length,
        ...(file === undefined ? {} : { file }),
        read: async (offset, length) => big.slice(offset, offset + length),
        tree: async () => undefined,
        close: async () => undefined,
      };
    },
    putSmall: (...args) => inner.putSmall(...args),
    putBig: (...args) => inner.putBig(...args),
    list: (...args) => inner.list(...args),
    collect: (...args) => inner.collect(...args),
  };
}

interface Disposable {
  dispose(): void;
}

/** The code of what a call rejects with; 'released' if it returned a model after all. */
export async function refusal(call: () => Promise<Disposable | Uint8Array>): Promise<string> {
  try {
    const released = await call();
    if ('dispose' in released) released.dispose();
    return 'released';
  } catch (error) {
    return isCoded(error) ? error.code : `undocumented: ${String(error)}`;
  }
}

function isCoded(error: unknown): error is ModelGuardError {
  return error instanceof Error && error.constructor.name === 'ModelGuardError' && 'code' in error;
}

/** Counts how often each code came. */
export class Codes {
  readonly #counts = new Map<string, number>();

  add(code: string): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1);
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  toString(): string {
    return [...this.#counts]
      .sort()
      .map(([code, count]) => `${count} ${code}`)
      .join(', ');
  }
}
