/** Root may write anywhere, so it stops being root meanwhile. */
export async function asOrdinaryUser<T>(task: () => Promise<T>): Promise<T> {
  const root = process.geteuid?.() === 0;
  if (root) process.seteuid?.(65_534);
  try {
    return await task();
  } finally {
    if (root) process.seteuid?.(0);
  }
}
