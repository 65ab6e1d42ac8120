/** Time as something that a test hands over. */
export interface Timers {
  /** Milliseconds. */
  now(): number;
  /** Runs it once, after that many milliseconds; call the result to not run it. */
  after(ms: number, run: () => void): () => void;
}

/** A clock that runs `factor` times faster than the real one. */
export function scaledTimers(factor: number): Timers {
  const start = performance.now();
  return {
    now: () => (performance.now() - start) * factor,
    after: (ms, run) => {
      const timer = setTimeout(run, ms / factor);
      return () => clearTimeout(timer);
    },
  };
}
