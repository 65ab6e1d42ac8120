/** Errors of tasks, for tests that compare codes and messages. */
import { ModelGuardError } from '../../src/index.js';

/** The error that `task` rejects with; anything but a ModelGuardError fails the test. */
export async function failureOf(task: () => Promise<unknown> | unknown): Promise<ModelGuardError> {
  try {
    await task();
  } catch (error) {
    if (error instanceof ModelGuardError) return error;
    throw new Error(`undocumented: ${String(error)}`, { cause: error });
  }
  throw new Error('nothing was refused');
}

/** The code of the error that `task` fails with. */
export const codeOf = async (task: () => unknown): Promise<string> => (await failureOf(task)).code;
