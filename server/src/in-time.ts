/** Waiting no longer than it is worth. */

/** What did not answer in time. */
export class NotInTime extends Error {
  override readonly name = 'NotInTime';
}

/** @throws NotInTime where `task` takes longer; it goes on, and what becomes of it then is nobody's. */
export async function inTime<T>(task: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NotInTime(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([task, late]);
  } finally {
    clearTimeout(timer);
  }
}
