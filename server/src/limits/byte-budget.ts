import { RateLimitError } from './rate-limit-error.js';

/** Bytes that were taken. After `release` both methods do nothing: a client may leave before its answer is made. */
export interface Hold {
  /** Changes the number of bytes to the real one; this is never refused. */
  resize(bytes: number): void;
  release(): void;
}
interface Waiter {
  readonly holder: string;
  readonly bytes: number;
  readonly go: () => void;
}

/** The pause that a refused client is told. */
const RETRY_SECONDS = 5;

/**
 * Counts bytes that are held in memory, within a total, and for each holder within a share of it. A request for more waits in
 * line; requests of a holder whose share is used up are passed over, so that they delay no other holder.
 */
export class ByteBudget {
  readonly #total: number;
  readonly #share: number;
  readonly #patience: number;
  readonly #holders = new Map<string, number>();
  readonly #line = new Set<Waiter>();
  #held = 0;

  /** @param patience milliseconds that a request waits in line */
  constructor({ total, share, patience }: { readonly total: number; readonly share: number; readonly patience: number }) {
    this.#total = total;
    this.#share = share;
    this.#patience = patience;
  }

  get held(): number {
    return this.#held;
  }

  /** @throws RATE_LIMITED where no room was made in time */
  async take(holder: string, wanted: number): Promise<Hold> {
    // More than the share would never fit.
    const bytes = Math.min(wanted, this.#share);
    await new Promise<void>((resolve, reject) => {
      let late: NodeJS.Timeout | undefined;
      const go = (): void => {
        clearTimeout(late);
        this.#line.delete(waiter);
        this.#add(holder, bytes);
        resolve();
      };
      const waiter: Waiter = { holder, bytes, go };
      const giveUp = (): void => {
        this.#line.delete(waiter);
        reject(new RateLimitError(RETRY_SECONDS, 'The server holds as many bytes of requests as it may'));
        // The next request in line may need less.
        this.#admit();
      };
      this.#line.add(waiter);
      this.#admit();
      if (this.#line.has(waiter)) late = setTimeout(giveUp, this.#patience).unref();
    });
    return this.#hold(holder, bytes);
  }

  #hold(holder: string, taken: number): Hold {
    let size = taken;
    let released = false;
    const resize = (bytes: number): void => {
      if (released) return;
      this.#add(holder, bytes - size);
      size = bytes;
      this.#admit();
    };
    const release = (): void => {
      resize(0);
      released = true;
    };
    return { resize, release };
  }

  #add(holder: string, bytes: number): void {
    this.#held += bytes;
    const held = this.#of(holder) + bytes;
    if (held > 0) this.#holders.set(holder, held);
    else this.#holders.delete(holder);
  }

  #of(holder: string): number {
    return this.#holders.get(holder) ?? 0;
  }

  #admit(): void {
    for (const { holder, bytes, go } of this.#line) {
      if (this.#of(holder) + bytes > this.#share) continue;
      // The first request that its share admits waits for the total: smaller ones behind it would delay it for ever.
      if (this.#held + bytes > this.#total) return;
      go();
    }
  }
}
