/** Big parts that no version names are removed, a day after anybody last used them. */
import type { Context } from '../context.js';

const HOUR_MS = 3_600_000;

/** What a publication that was given up, or a version that was replaced, left behind. Returns what was removed. */
export async function collectParts({ parts, db, log }: Context, stop?: AbortSignal): Promise<readonly string[]> {
  const rows = await db.selectFrom('versions').select('big_name').distinct().execute();
  const removed = await parts.collect(new Set(rows.map((row) => row.big_name)), stop);
  if (removed.length > 0) log.info({ removed: removed.length }, 'collected parts that no version names');
  return removed;
}

/** Collects now and every hour. The function that it returns ends that, and waits for the part that a pass is at. */
export function startModels(context: Context): () => Promise<void> {
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
