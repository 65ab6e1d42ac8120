import { TooMany } from '../too-many.js';

/** Runs tasks of the same key one after the other, and refuses those behind too long a line. */
export class Queues {
  readonly #longest: number;
  readonly #lines = new Map<string, { length: number; last: Promise<unknown> }>();

  constructor(longest: number) {
    this.#longest = longest;
  }

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(key) ?? { length: 0, last: Promise.resolve() };
    if (line.length >= this.#longest) throw new TooMany(1);
    this.#lines.set(key, line);
    line.length++;
    const mine = line.last.then(task);
    // The next in line does not care how this one ends.
    line.last = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      line.length--;
      if (line.length === 0) this.#lines.delete(key);
    }
  }
}
