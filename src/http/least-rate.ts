/** The slowest that an answer may come: a server that sends a byte now and then is never silent, and would hold its reader for ever. */

/** So many bytes must come in each window of waiting, but for the last one. */
export const LEAST_BYTES = 64 * 1024;

/** Counts the bytes of one answer, and the time that was spent waiting for them. The time that a slow reader takes does not count. */
export class LeastRate {
  readonly #window: number;
  #waited = 0;
  #received = 0;

  /** @param window milliseconds */
  constructor(window: number) {
    this.#window = window;
  }

  /** Adds a piece; false where a whole window of waiting has brought too little. */
  isEnough(waited: number, bytes: number): boolean {
    this.#waited += waited;
    this.#received += bytes;
    if (this.#waited < this.#window) return true;
    const enough = this.#received >= LEAST_BYTES;
    this.#waited = 0;
    this.#received = 0;
    return enough;
  }
}
