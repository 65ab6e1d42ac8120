/**
 * Counts repeated refusals of one caller, so that the log holds their number rather than each of them. Otherwise any caller could
 * make the log grow as fast as the server answers.
 */
import type { AuditEntry } from '../context.js';

/** Refusals of one action and caller in a minute that are written one by one. */
const NOTED = 20;
const MINUTE = 60;
/** Pairs of caller and action that are counted at a time. */
const REMEMBERED = 10_000;

interface Window {
  readonly start: number;
  taken: number;
  /** Refusals that were counted and not written, and the last of them. */
  counted: number;
  last: AuditEntry;
}

export class RepeatedRefusals {
  /** By caller and action, oldest first. */
  readonly #windows = new Map<string, Window>();
  readonly #over: AuditEntry[] = [];

  /** False where the refusal is only counted. */
  isNoted(entry: AuditEntry, now: number): boolean {
    const { account, network, address } = entry.caller;
    const key = `${account?.id ?? network ?? address} ${entry.action}`;
    let window = this.#windows.get(key);
    if (!window || isOver(window, now)) {
      if (window) this.#close(key, window);
      for (const [oldest, other] of this.#windows) {
        if (this.#windows.size < REMEMBERED) break;
        this.#close(oldest, other);
      }
      window = { start: now, taken: 0, counted: 0, last: entry };
      this.#windows.set(key, window);
    }
    if (window.taken < NOTED) {
      window.taken++;
      return true;
    }
    window.counted++;
    window.last = entry;
    return false;
  }

  /** One event for each caller and action whose minute is over; with `all`, also for the others. */
  drain(now: number, all = false): readonly AuditEntry[] {
    for (const [key, window] of this.#windows) {
      if (all || isOver(window, now)) this.#close(key, window);
      else break;
    }
    return this.#over.splice(0);
  }

  /** Takes back events of {@link drain} whose write failed. */
  putBack(entries: readonly AuditEntry[]): void {
    this.#over.push(...entries);
  }

  #close(key: string, { counted, last }: Window): void {
    this.#windows.delete(key);
    if (counted === 0) return;
    const { action, outcome, caller, subject } = last;
    const detail = `${counted} more like this within a minute, not listed one by one`;
    this.#over.push({ action, outcome, caller: { ...caller, request: '' }, subject, detail });
  }
}

/** Also true after the clock was set back. */
const isOver = ({ start }: Window, now: number): boolean => now >= start + MINUTE || now < start;
