/** Removes big parts that no version names, a day after their last use. */
import type { PartsContext } from './parts.js';

const HOUR_MS = 3_600_000;

/** Removes the parts of abandoned publications and replaced versions. Returns their names. */
export async function collectParts({ parts, db, log }: PartsContext, stop?: AbortSignal): Promise<readonly string[]> {
  const rows = await db.selectFrom('versions').select('big_name').distinct().execute();
  const removed = await parts.collect(new Set(rows.map((row) => row.big_name)), stop);
  if (removed.length > 0) log.info({ removed: removed.length }, 'collected parts that no version names');
  return removed;
}

/** Collects now and every hour. The returned function ends this, and waits for the part that a pass is removing. */
export function startCollection(context: PartsContext): () => Promise<void> {
  const stop = new AbortController();
  let running: Promise<void> = Promise.resolve();
  const pass = () => {
    running = running.then(async () => {
      try {
        if (!stop.signal.aborted) await collectParts(context, stop.signal);
      } catch (error) {
        context.log.error({ err: error }, 'could not collect parts');
      }
    });
  };
  pass();
  const timer = setInterval(pass, HOUR_MS);
  timer.unref();
  return async () => {
    clearInterval(timer);
    stop.abort();
    await running;
  };
}
