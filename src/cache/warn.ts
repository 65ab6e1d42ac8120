/** A fault of the cache never makes a load fail: it becomes a warning of the process. */
import { isError } from '../errors.js';

/** The code of the warning that the cache of ciphertext, or one entry of it, was not used. */
export const CACHE_UNUSED_WARNING = 'MODEL_GUARD_CACHE_UNUSED';

const warned = new Set<string>();

/** Emits a warning with the reason, each reason once a process. */
export function warn(what: string, why: unknown): void {
  const text = `${what}: ${isError(why) ? why.message : String(why)}`;
  if (warned.has(text)) return;
  warned.add(text);
  process.emitWarning(text, { type: 'ModelGuardWarning', code: CACHE_UNUSED_WARNING });
}

export const warnUnused = (why: unknown): void => warn('The cache of ciphertext was not used', why);
