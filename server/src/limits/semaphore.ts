import { Semaphore } from '@org/model-guard/server-kit';
import { RateLimitError } from './rate-limit-error.js';

/** A semaphore that lets only so many tasks wait. */
export class BoundedSemaphore extends Semaphore {
  readonly #longest: number;

  /** @param places Tasks at once. @param longest Tasks that wait, 1 or more. */
  constructor(places: number, longest: number) {
    super(places);
    this.#longest = longest;
  }

  /** @throws RATE_LIMITED where `longest` tasks wait already */
  override async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.waiting >= this.#longest) throw new RateLimitError(1);
    return await super.run(task);
  }
}
