/** A store in memory: for tests, and for parts that arrive by other ways. */
import { throwIfAborted } from '../base/abort.js';
import { ModelGuardError } from '../errors.js';
import { bigPartOf, checkedBigName, checkedRef, checkSmallSize, label } from './parts.js';
import type { BigPartSource, CollectOptions, ModelRef, OpenBigPart, PartStore, StoreOptions } from './store.js';

interface BigPart {
  readonly bytes: Uint8Array;
  readonly tree: Uint8Array;
}

/**
 * A PartStore in this process's memory. `collect` has no grace period here: a part that is being read stays alive anyway.
 * @example
 * const store = memoryStore();
 * await protect('model.onnx', { name: 'defects', version: '1', recipients: [key], to: store });
 */
export function memoryStore(): PartStore {
  return new MemoryStore();
}

class MemoryStore implements PartStore {
  readonly #small = new Map<string, Uint8Array>();
  readonly #big = new Map<string, BigPart>();

  async getSmall(ref: ModelRef, { signal }: StoreOptions = {}): Promise<Uint8Array> {
    throwIfAborted(signal);
    const key = label(checkedRef(ref));
    const small = this.#small.get(key);
    if (!small) throw new ModelGuardError('NOT_FOUND', `The small part of ${key} is not in this memory store`);
    return small.slice();
  }

  async putSmall(
    ref: ModelRef,
    bytes: Uint8Array,
    { ifAbsent, signal }: StoreOptions & { readonly ifAbsent?: boolean | undefined } = {},
  ): Promise<void> {
    throwIfAborted(signal);
    const key = label(checkedRef(ref));
    checkSmallSize(bytes.length, `The small part of ${key}`);
    if (ifAbsent && this.#small.has(key)) throw new ModelGuardError('ALREADY_EXISTS', `${key} is published already`);
    this.#small.set(key, new Uint8Array(bytes));
  }

  async putBig(ref: ModelRef, name: string, source: BigPartSource, { signal }: StoreOptions = {}): Promise<void> {
    throwIfAborted(signal);
    const of = label(checkedRef(ref));
    const key = checkedBigName(name);
    this.#refuseUsed(of, key);
    const bytes = new Uint8Array(source.size);
    let done = 0;
    for await (const piece of source.stream()) {
      throwIfAborted(signal);
      if (done + piece.length > bytes.length) break;
      bytes.set(piece, done);
      done += piece.length;
    }
    if (done !== bytes.length) throw new ModelGuardError('IO_FAILED', `The big part of ${of} was not ${bytes.length} bytes long`);
    this.#refuseUsed(of, key);
    this.#big.set(key, { bytes, tree: new Uint8Array(source.tree()) });
  }

  #refuseUsed(of: string, key: string): void {
    if (this.#big.has(key)) throw new ModelGuardError('ALREADY_EXISTS', `The big part ${key} of ${of} is stored already`);
  }

  async openBig(ref: ModelRef, name: string, { signal }: StoreOptions = {}): Promise<OpenBigPart> {
    throwIfAborted(signal);
    const part = this.#big.get(checkedBigName(name));
    if (!part) throw new ModelGuardError('NOT_FOUND', `The big part ${name} of ${label(ref)} is not in this memory store`);
    return {
      size: part.bytes.length,
      read: async (offset, length, options = {}) => {
        throwIfAborted(options.signal);
        return part.bytes.slice(offset, offset + length);
      },
      tree: async () => part.tree.slice(),
      close: async () => undefined,
    };
  }

  async *list({ signal }: StoreOptions = {}): AsyncGenerator<ModelRef, void, undefined> {
    for (const key of [...this.#small.keys()]) {
      throwIfAborted(signal);
      const [name, version] = key.split('@') as [string, string];
      yield { name, version };
    }
  }

  async collect({ referenced, signal }: CollectOptions = {}): Promise<readonly string[]> {
    throwIfAborted(signal);
    const used = referenced ?? new Set([...this.#small.values()].map((small) => bigPartOf(small).name));
    const unused = [...this.#big.keys()].filter((name) => !used.has(name));
    for (const name of unused) this.#big.delete(name);
    return unused;
  }
}
