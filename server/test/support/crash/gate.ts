/** Work passes while the server is there, and waits while it is not. */
import { AsyncLocalStorage } from 'node:async_hooks';

const workers = new AsyncLocalStorage<string>();

export class Gate {
  #opened = Promise.resolve();
  #open: (() => void) | undefined;
  readonly waiting = new Set<string>();
  #changed: (() => void) | undefined;
  /** Grows with every closing. */
  closings = 0;

  get isShut(): boolean {
    return this.#open !== undefined;
  }

  /** Runs `task` under a name by which its waiting is known. */
  as<T>(worker: string, task: () => Promise<T>): Promise<T> {
    return workers.run(worker, task);
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

  /** Goes on when it is open and, if given, when `until` is there. */
  async pass(until: Promise<unknown> = Promise.resolve()): Promise<void> {
    const worker = workers.getStore() ?? '';
    this.waiting.add(worker);
    this.#changed?.();
    await until;
    while (this.#open) await this.#opened;
    this.waiting.delete(worker);
  }

  /** Resolves when so many workers wait: then nothing is under way. */
  async quiet(count: number): Promise<void> {
    while (this.waiting.size < count)
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    this.#changed = undefined;
  }
}
