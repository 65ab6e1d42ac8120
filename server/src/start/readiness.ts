/** Decides whether the server can serve now. */
import { makeWriteProbe } from '../database/writable.js';
import { findCurrentKey } from '../keys/current-key.js';
import type { PartsContext } from '../parts/parts.js';

/** The returned function throws where keys, big parts or a write to the database fail now. */
export function makeReadinessCheck(context: PartsContext): () => Promise<void> {
  const tryWrite = makeWriteProbe(context);
  return async () => {
    // The keys that the database names now: it may be another database than a minute ago. Without them nothing is signed or opened.
    await context.keys.newest(context.db);
    await findCurrentKey(context);
    await context.parts.demandReadable();
    await tryWrite();
  };
}
