/** A cache never makes a load fail: what is wrong with it is told aside. */
import { isError } from '../errors.js';

/** The code of the warning that the cache of big parts, or one entry of it, was not used. */
export const CACHE_UNUSED_WARNING = 'MODEL_GUARD_CACHE_UNUSED';

const told = new Set<string>();

/** Says `why`, each reason once a process. */
export function warnUnused(why: unknown): void {
  const text = isError(why) ? why.message : String(why);
  if (told.has(text)) return;
  told.add(text);
  process.emitWarning(`The cache of big parts was not used: ${text}`, {
    type: 'ModelGuardWarning',
    code: CACHE_UNUSED_WARNING,
  });
}
