/**
 * Memory that ranges come into, used again once it was copied from: many megabytes a second pass through, and a collector that comes
 * late would let them pile up. Buffers that are not given back are left to the garbage collector.
 */
export class BufferPool {
  readonly #bytes: number;
  readonly #free: ArrayBufferLike[] = [];
  /** How much of what was handed out is not given back yet. */
  readonly #left = new WeakMap<ArrayBufferLike, number>();

  /** @param bytes Of one slab. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** `length` bytes, at most all of a slab; what they hold is anything. */
  take(length: number): Uint8Array {
    const slab = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes).buffer;
    this.#left.set(slab, length);
    return new Uint8Array(slab, 0, length);
  }

  /** Gives bytes back, each of them once, in any pieces. Buffers from elsewhere are ignored. */
  give({ buffer, length }: Uint8Array): void {
    const left = this.#left.get(buffer);
    if (left === undefined) return;
    this.#left.set(buffer, left - length);
    if (left > length) return;
    this.#left.delete(buffer);
    this.#free.push(buffer);
  }

  /** Retires a buffer: it is unknown how much of it was handed out. */
  leave({ buffer }: Uint8Array): void {
    this.#left.delete(buffer);
  }
}
