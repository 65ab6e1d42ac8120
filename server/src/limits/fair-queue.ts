import { RateLimitError } from './rate-limit-error.js';

/**
 * Runs a few tasks at once, and at most one for each key. Keys take turns, so a key with many waiting tasks delays another key by one
 * task.
 */
export class FairQueue {
  readonly #most: number;
  readonly #longest: number;
  #running = 0;
  readonly #busy = new Set<string>();
  /** Waiting tasks by key. The next key comes first. */
  readonly #lines = new Map<string, (() => void)[]>();

  /** @param most tasks at once @param longest tasks of one key that wait */
  constructor(most: number, longest: number) {
    this.#most = most;
    this.#longest = longest;
  }

  /** @throws RATE_LIMITED where too many tasks of the key wait already */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(key) ?? [];
    if (line.length >= this.#longest) throw new RateLimitError(1);
    await new Promise<void>((go) => {
      line.push(go);
      this.#lines.set(key, line);
      this.#next();
    });
    try {
      return await task();
    } finally {
      this.#running--;
      this.#busy.delete(key);
      this.#next();
    }
  }

  #next(): void {
    for (const [key, line] of this.#lines) {
      if (this.#running >= this.#most) return;
      if (this.#busy.has(key)) continue;
      const go = line.shift();
      // To the end, behind every other waiting key.
      this.#lines.delete(key);
      if (line.length > 0) this.#lines.set(key, line);
      if (!go) continue;
      this.#running++;
      this.#busy.add(key);
      go();
    }
  }
}
