/** Requests of each caller in the present minute, counted in this process. */

interface Window {
  /** Of a clock that only grows: setting the wall clock neither lengthens a window nor ends it. */
  readonly started: number;
  count: number;
}
interface Count {
  readonly current: number;
  /** Milliseconds until the window ends. */
  readonly ttl: number;
}

/** A store of @fastify/rate-limit. Windows that began first are forgotten first. */
export class RateWindows {
  static readonly #most = 20_000;
  readonly #windows = new Map<string, Window>();
  readonly #uptime: () => number;

  /** @param uptime Milliseconds. What else the plugin gives is not needed. */
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
