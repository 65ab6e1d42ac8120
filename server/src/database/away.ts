/** A database that cannot be asked now. */

/** Nothing is known to be wrong with the request: whoever repeats it after a while may succeed. */
export class DatabaseAway extends Error {
  override readonly name = 'DatabaseAway';

  /** @param undone Whether it is certain that nothing was written: not where a commit was on its way. */
  constructor(
    message: string,
    readonly undone: boolean,
  ) {
    super(message);
  }
}
