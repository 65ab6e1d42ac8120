/** A database that cannot be asked now. */

/** Nothing is known to be wrong with the request: whoever repeats it after a while may succeed. */
export class DatabaseAway extends Error {
  override readonly name = 'DatabaseAway';

  /**
   * @param undone Whether it is certain that nothing was written, so that asking again soon does no harm: not where a commit was on its
   * way, nor where the query would take as long again.
   */
  constructor(
    message: string,
    readonly undone: boolean,
  ) {
    super(message);
  }
}

/** What follows a commit: where it fails, asking again would do the whole once more. */
export async function afterCommit<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw error instanceof DatabaseAway ? new DatabaseAway(error.message, false) : error;
  }
}
