/** Runs a limited number of tasks at once; further ones wait in order. */
export class Semaphore {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  /** @param places Tasks at once. */
  constructor(places: number) {
    this.#free = places;
  }

  /** Tasks that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
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
