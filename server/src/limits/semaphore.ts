import { RateLimitError } from './rate-limit-error.js';

/** Runs a limited number of tasks at once; further ones wait in order. */
export class Semaphore {
  readonly #waiting: (() => void)[] = [];
  readonly #longest: number;
  #free: number;

  /** @param places tasks at once @param longest tasks that wait */
  constructor(places: number, longest = Number.POSITIVE_INFINITY) {
    this.#free = places;
    this.#longest = longest;
  }

  /** @throws RATE_LIMITED where `longest` tasks wait already */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else if (this.#waiting.length >= this.#longest) throw new RateLimitError(1);
    else await new Promise<void>((go) => this.#waiting.push(go));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      // Hand the slot to the first waiter, so that a later caller cannot overtake it.
      if (next) next();
      else this.#free++;
    }
  }
}
