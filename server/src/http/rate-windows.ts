/** Counts the requests of each caller in the present minute, in this process. */

interface Window {
  /** Milliseconds of a monotonic clock: setting the wall clock neither lengthens a window nor ends it. */
  readonly started: number;
  count: number;
}
interface Count {
  readonly current: number;
  /** Milliseconds until the window ends. */
  readonly ttl: number;
}

/** A store of @fastify/rate-limit. The oldest windows are evicted first. */
export class RateWindows {
  static readonly #most = 20_000;
  readonly #windows = new Map<string, Window>();
  readonly #uptime: () => number;

  /** @param uptime Milliseconds. The plugin's own options are not needed. */
  constructor({ uptime = () => performance.now() }: { readonly uptime?: () => number } = {}) {
    this.#uptime = uptime;
  }

  incr(key: string, done: (error: Error | null, count?: Count) => void, length: number): void {
    const now = this.#uptime();
    let window = this.#windows.get(key);
    if (!window || now - window.started >= length) {
      this.#windows.delete(key);
      window = { started: now, count: 0 };
      this.#windows.set(key, window);
      const [oldest] = this.#windows.keys();
      if (this.#windows.size > RateWindows.#most && oldest !== undefined) this.#windows.delete(oldest);
    }
    window.count++;
    done(null, { current: window.count, ttl: length - (now - window.started) });
  }

  child(): RateWindows {
    return new RateWindows({ uptime: this.#uptime });
  }
}
