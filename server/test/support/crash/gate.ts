/** Lets work pass while the server runs, and holds it back while it does not. */
export class Gate {
  #opened = Promise.resolve();
  #open: (() => void) | undefined;
  readonly #waiting = new Map<string, number>();
  #changed: (() => void) | undefined;
  /** Grows with every closing. */
  closings = 0;

  get isShut(): boolean {
    return this.#open !== undefined;
  }

  shut(): void {
    this.closings++;
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }
  open(): void {
    this.#open?.();
    this.#open = undefined;
  }

  /** `worker` goes on when it is open and, if given, when `until` is there. */
  async pass(worker: string, until: Promise<unknown> = Promise.resolve()): Promise<void> {
    this.#count(worker, 1);
    await until;
    while (this.isShut) await this.#opened;
    this.#count(worker, -1);
  }

  #count(worker: string, by: number): void {
    const now = (this.#waiting.get(worker) ?? 0) + by;
    if (now > 0) this.#waiting.set(worker, now);
    else this.#waiting.delete(worker);
    this.#changed?.();
  }

  /** Resolves when so many workers wait: then nothing is under way. */
  async quiet(count: number): Promise<void> {
    while (this.#waiting.size < count)
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    this.#changed = undefined;
  }
}
