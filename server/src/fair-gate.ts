import { TooMany } from './too-many.js';

/**
 * Runs a few tasks at a time, one for each key, and lets the keys take turns: a key with many tasks waiting delays the next key by one of
 * them at most.
 */
export class FairGate {
  readonly #most: number;
  readonly #longest: number;
  #running = 0;
  readonly #busy = new Set<string>();
  /** Tasks that wait, by key. The key whose turn comes next stands first. */
  readonly #lines = new Map<string, (() => void)[]>();

  /** @param most tasks at a time @param longest tasks of one key that wait */
  constructor(most: number, longest: number) {
    this.#most = most;
    this.#longest = longest;
  }

  /** @throws RATE_LIMITED where too many tasks of the key wait already */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(key) ?? [];
    if (line.length >= this.#longest) throw new TooMany(1);
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
      // To the end: every other key that waits comes first.
      this.#lines.delete(key);
      if (line.length > 0) this.#lines.set(key, line);
      if (!go) continue;
      this.#running++;
      this.#busy.add(key);
      go();
    }
  }
}
