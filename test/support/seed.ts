/** Random numbers that a printed seed brings back. */
import { createCipheriv, createHash, randomInt } from 'node:crypto';
import { print } from './print.js';

export class Random {
  readonly #stream;

  constructor(readonly seed: number) {
    const key = createHash('sha256').update(`seed ${seed}`).digest();
    this.#stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from(this.#stream.update(Buffer.alloc(length)));
  }

  /** 0 to `below` - 1. */
  integer(below: number): number {
    const word = Buffer.from(this.bytes(6)).readUIntBE(0, 6);
    return word % below;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.integer(items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }

  /** 1 to 255: a mask that changes a byte. */
  mask(): number {
    return 1 + this.integer(255);
  }

  shuffle<Item>(items: readonly Item[]): Item[] {
    return items
      .map((item) => ({ item, at: this.integer(2 ** 40) }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item);
  }
}

/** MG_SEED repeats an earlier run. The seed is printed, so that a failure can be repeated. */
export function seeded(what: string): Random {
  const seed = process.env.MG_SEED === undefined ? randomInt(2 ** 31) : Number(process.env.MG_SEED);
  print(`${what}: MG_SEED=${seed}`);
  return new Random(seed);
}
