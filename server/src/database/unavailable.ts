/** The error of a database that does not serve now. */

/** The request itself may be right: a later try may succeed. */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable';

  /**
   * @param undone Whether certainly nothing was written, so that a repetition does no harm. False while a commit was under way,
   *   and where the query would take as long again.
   */
  constructor(
    message: string,
    readonly undone: boolean,
  ) {
    super(message);
  }
}

/** Runs a task that follows a commit. Its failure must not invite a repetition of the whole request. */
export async function afterCommit<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw error instanceof DatabaseUnavailable ? new DatabaseUnavailable(error.message, false) : error;
  }
}
