/**
 * A pool of buffers of one size for downloaded ranges. Many megabytes pass through a second: without the pool they would pile up until the
 * garbage collector runs. It collects buffers that are not given back.
 */
export class BufferPool {
  readonly #bytes: number;
  readonly #free: ArrayBufferLike[] = [];
  /** Bytes of each buffer in use that are not given back yet. */
  readonly #outstanding = new WeakMap<ArrayBufferLike, number>();

  /** @param bytes Of one buffer. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** A buffer of `length` bytes, at most the size of the pool's buffers, with arbitrary content. */
  take(length: number): Uint8Array {
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes).buffer;
    this.#outstanding.set(buffer, length);
    return new Uint8Array(buffer, 0, length);
  }

  /** Gives bytes back, in pieces of any size, each byte once. Buffers from elsewhere are ignored. */
  giveBack({ buffer, length }: Uint8Array): void {
    const outstanding = this.#outstanding.get(buffer);
    if (outstanding === undefined) return;
    this.#outstanding.set(buffer, outstanding - length);
    if (outstanding > length) return;
    this.#outstanding.delete(buffer);
    this.#free.push(buffer);
  }

  /** Never uses a buffer again, because it is unknown how many of its bytes are in use. */
  retire({ buffer }: Uint8Array): void {
    this.#outstanding.delete(buffer);
  }
}
