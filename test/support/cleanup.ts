/** Cleaning up after a test file. Vitest drops an afterAll that is registered while a test or a hook runs; these tasks may come from anywhere. */
type Task = () => unknown;

const tasks: Task[] = [];

/** Runs when the tests and hooks of the current file are done. The last task runs first. */
export function atEndOfFile(task: Task): void {
  tasks.push(task);
}

/** Runs every task, also after one that failed. */
export async function cleanUp(): Promise<void> {
  const failures: unknown[] = [];
  for (const task of tasks.splice(0).reverse()) {
    try {
      await task();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'cleaning up failed');
}
