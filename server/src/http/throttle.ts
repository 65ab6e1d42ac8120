const REMEMBERED = 10_000;

/** Lets a few through in a window for each key, and counts what it held back. */
export class Throttle {
  readonly #windows = new Map<string, { start: number; taken: number; suppressed: number }>();

  constructor(
    readonly most: number,
    readonly seconds: number,
  ) {}

  take(key: string, now: number): { readonly allowed: boolean; readonly suppressed: number } {
    const window = this.#windows.get(key);
    if (!window || now >= window.start + this.seconds || now < window.start) {
      // Oldest first: a map keeps the order of insertion.
      this.#windows.delete(key);
      for (const oldest of this.#windows.keys()) {
        if (this.#windows.size < REMEMBERED) break;
        this.#windows.delete(oldest);
      }
      this.#windows.set(key, { start: now, taken: 1, suppressed: 0 });
      return { allowed: true, suppressed: window?.suppressed ?? 0 };
    }
    if (window.taken < this.most) {
      window.taken++;
      return { allowed: true, suppressed: 0 };
    }
    window.suppressed++;
    return { allowed: false, suppressed: 0 };
  }
}
