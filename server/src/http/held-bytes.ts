import { TooMany } from '../too-many.js';

/** Bytes that were taken. Giving them back twice is harmless. */
export interface Hold {
  /** Makes it as large as it turned out to be; this is not refused. */
  resize(bytes: number): void;
  release(): void;
}
interface Waiter {
  readonly holder: string;
  readonly bytes: number;
  readonly go: () => void;
}

/** Clients repeat a request that they are told to repeat within ten seconds. */
const RETRY_SECONDS = 5;

/**
 * Counts bytes that are held in memory: within a total, and each holder within a share of it. A request for more waits in line; one whose
 * holder has used its share up is passed by, so that it delays no other holder.
 */
export class HeldBytes {
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

  /** @throws RATE_LIMITED where no room has been made in time */
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
        reject(new TooMany(RETRY_SECONDS, 'The server holds as many bytes of requests as it may'));
        // The next in line may need less.
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
    const resize = (bytes: number): void => {
      this.#add(holder, bytes - size);
      size = bytes;
      this.#admit();
    };
    return { resize, release: () => resize(0) };
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
      // The first that its share lets through waits for the total: smaller ones behind it would keep it waiting for ever.
      if (this.#held + bytes > this.#total) return;
      go();
    }
  }
}
