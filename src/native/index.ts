/** The only place that calls the addon, and the only one that turns its failures into errors. */
import { constants } from 'node:buffer';
import { getSystemErrorName } from 'node:util';
import { isPromise } from 'node:util/types';
import { ERROR_CODES, isModelGuardError, ModelGuardError, type ModelGuardErrorCode } from '../errors.js';
import { loadAddon } from './addon.js';
import type { NativeBinding, NativeFailure } from './binding.js';

type Advice = Readonly<Partial<Record<ModelGuardErrorCode, string>>>;

/** The addon knows no stores: what is missing there is a file. */
const ADVICE: Advice = { NOT_FOUND: 'Check the path.' };

let loaded: NativeBinding | undefined;

/** Loaded at first use, so that an import alone never fails. */
function binding(): NativeBinding {
  if (loaded) return loaded;
  loaded = loadAddon();
  loaded.setMaxArray(constants.MAX_LENGTH);
  return loaded;
}

/**
 * Calls into the addon. The stack is taken before the call, while the caller's frames are still there: a native promise
 * rejects from the event loop, where none is left.
 * @param advice Replaces the general advice of a code by one that fits this call.
 */
export function call<T>(run: (native: NativeBinding) => T, advice: Advice = {}): T {
  const trace: { stack?: string } = {};
  Error.captureStackTrace(trace, call);
  const native = binding();
  try {
    const result = run(native);
    return isPromise(result) ? (result.catch((error: unknown) => fail(error, trace, advice)) as T) : result;
  } catch (error) {
    return fail(error, trace, advice);
  }
}

function fail(error: unknown, trace: { stack?: string }, advice: Advice): never {
  if (isModelGuardError(error)) throw error;
  const wrapped = isFailure(error)
    ? new ModelGuardError(error.code, error.what, {
        ...(error.errno && { cause: systemError(error.errno) }),
        advice: advice[error.code] ?? ADVICE[error.code],
      })
    : new ModelGuardError('INTERNAL', 'The addon failed in an undocumented way', { cause: error });
  const frames = trace.stack?.slice(trace.stack.indexOf('\n    at '));
  if (frames) wrapped.stack = `${wrapped.name}: ${wrapped.message}${frames}`;
  throw wrapped;
}

function isFailure(error: unknown): error is NativeFailure & { code: ModelGuardErrorCode } {
  if (typeof error !== 'object' || error === null) return false;
  const { code, what } = error as Partial<NativeFailure>;
  return typeof code === 'string' && Object.hasOwn(ERROR_CODES, code) && typeof what === 'string';
}

function systemError(errno: number): Error {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${code} (errno ${errno})`), { errno, code });
}
