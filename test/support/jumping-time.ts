/** Time that stands still while anything happens, and then jumps to what is due next: nobody waits, and nobody is late for want of a processor. */
import type { Pace } from '../../src/http/retry.js';
import type { Timers } from './timers.js';

/** Turns of the event loop without anything new: what was sent within the process has arrived by then. */
const QUIET_TURNS = 5;
const TURN_MS = 1;

export interface Busy {
  /** Something is on its way from outside of the process. */
  underWay(): number;
}

export class JumpingTime implements Timers {
  readonly pace: Pace;
  readonly #due = new Set<{ readonly at: number; readonly task: () => void }>();
  readonly #others: Busy[] = [];
  #now = 0;
  #quiet = 0;
  #turning = false;

  constructor(random: () => number) {
    this.pace = {
      random,
      sleep: (milliseconds, signal) =>
        new Promise((resolve) => {
          const cancel = this.after(milliseconds, over);
          function over(): void {
            cancel();
            signal?.removeEventListener('abort', over);
            resolve();
          }
          signal?.addEventListener('abort', over);
          if (signal?.aborted) over();
        }),
    };
  }

  /** Stands still for it, too. */
  mind(other: Busy): void {
    this.#others.push(other);
  }

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, task: () => void): () => void {
    const one = { at: this.#now + milliseconds, task };
    this.#due.add(one);
    this.#quiet = 0;
    if (!this.#turning) this.#turn();
    return () => {
      this.#quiet = 0;
      this.#due.delete(one);
    };
  }

  /** Tasks that are due later. */
  get waiting(): number {
    return this.#due.size;
  }

  #turn(): void {
    this.#turning = this.#due.size > 0;
    if (!this.#turning) return;
    setTimeout(() => {
      this.#quiet = this.#others.some((other) => other.underWay() > 0) ? 0 : this.#quiet + 1;
      if (this.#quiet > QUIET_TURNS) this.#jump();
      this.#turn();
    }, TURN_MS);
  }

  #jump(): void {
    this.#quiet = 0;
    this.#now = Math.max(this.#now, Math.min(...[...this.#due].map(({ at }) => at)));
    for (const one of [...this.#due]) if (one.at <= this.#now && this.#due.delete(one)) one.task();
  }
}
