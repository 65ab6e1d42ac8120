/** Time that passes, so that tests can make it pass faster. */
export interface Timers {
  /** Milliseconds, from any beginning. */
  now(): number;
  /** Runs `task` later, unless the function that is returned is called before. Keeps no process alive. */
  after(milliseconds: number, task: () => void): () => void;
}

export const timers: Timers = {
  now: () => performance.now(),
  after(milliseconds, task) {
    const timer = setTimeout(task, milliseconds);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
