import { TooMany } from './too-many.js';

/** Lets so many run at once; the others wait in order. RATE_LIMITED behind too long a line. */
export class Gate {
  readonly #waiting: (() => void)[] = [];
  readonly #longest: number;
  #free: number;

  constructor(places: number, longest = Number.POSITIVE_INFINITY) {
    this.#free = places;
    this.#longest = longest;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else if (this.#waiting.length >= this.#longest) throw new TooMany(1);
    else await new Promise<void>((go) => this.#waiting.push(go));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      // A place is handed over rather than freed, so that nobody who comes later is faster.
      if (next) next();
      else this.#free++;
    }
  }
}
