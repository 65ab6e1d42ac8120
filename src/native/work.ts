/** Long native work: cancelled by a signal, watched by a progress callback. */
import { z } from 'zod';
import { type AbortSignalLike, abortable, throwIfAborted } from '../base/abort.js';
import { speedometer } from '../base/rate.js';
import { signal } from '../base/validate.js';
import { AbortError } from '../errors.js';
import type { NativeBinding, NativeControl, NativeWork } from './binding.js';
import { call } from './index.js';

const MAX_THREADS = 1024;

export const run = {
  threads: z.int().min(1).max(MAX_THREADS).optional(),
  onProgress: z.custom<(progress: Progress) => void>((value) => typeof value === 'function', 'wants a function').optional(),
  signal: signal.optional(),
};

/** A phase of a long operation. */
export type ProgressPhase = 'encrypt' | 'upload' | 'decrypt' | 'verify' | 'copy';

/** How far a long operation is. */
export interface Progress {
  readonly phase: ProgressPhase;
  /** Bytes done, 0 to `total`. */
  readonly bytes: number;
  /** Bytes in all. */
  readonly total: number;
  /** Bytes a second, over the last seconds; 0 until it can be told. */
  readonly rate: number;
  /** Seconds that are left at that rate; absent until it can be told. */
  readonly remaining?: number | undefined;
}

/** Options of every long operation. */
export interface RunOptions {
  /** Threads of the native pool, 1 to 1,024. Default: as many cores as the process may use. */
  readonly threads?: number | undefined;
  /** Called at most ten times a second and once at the end of each phase. What it throws cancels the operation. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Cancels; the promise then rejects with an AbortError whose `cause` is the signal's reason. */
  readonly signal?: AbortSignalLike | undefined;
}

const INTERVAL_MS = 100;

/** Runs one phase of `total` bytes. The addon counts the bytes; a timer that keeps nothing alive reads the count. */
export function work<T>(
  phase: ProgressPhase,
  total: number,
  { signal, onProgress, threads }: RunOptions,
  run: (work: NativeWork, native: NativeBinding) => Promise<T>,
): Promise<T> {
  return controlled(signal, (control) =>
    watched({ phase, total, onProgress, control }, () => call((native) => run({ control, threads }, native))),
  );
}

/**
 * The same where JavaScript goes through the bytes itself: it tells how many it did (`advance`) or need not do (`skip`), and is stopped
 * there.
 */
export function stepwise<T>(
  phase: ProgressPhase,
  total: number,
  { signal, onProgress }: RunOptions,
  run: (advance: (bytes: number) => void, skip: (bytes: number) => void) => Promise<T>,
): Promise<T> {
  let done = 0;
  let skipped = 0;
  let cancelled = false;
  const control = {
    done: () => done + skipped,
    skipped: () => skipped,
    cancel() {
      cancelled = true;
    },
  };
  const advance = (bytes: number) => {
    throwIfAborted(signal);
    if (cancelled) throw new AbortError();
    done += bytes;
  };
  const skip = (bytes: number) => {
    skipped += bytes;
  };
  return abortable(signal, () => watched({ phase, total, onProgress, control }, () => run(advance, skip)));
}

/** The same for what waits for its reader between the bytes: called with how many are done. What `onProgress` throws goes through. */
export function meter(
  phase: ProgressPhase,
  total: number,
  { onProgress }: Pick<RunOptions, 'onProgress'>,
): (bytes: number) => void {
  const speed = speedometer(total);
  let told = Number.NEGATIVE_INFINITY;
  return (bytes) => {
    const now = performance.now();
    if (bytes < total && now - told < INTERVAL_MS) return;
    told = now;
    onProgress?.({ phase, bytes, total, ...speed(bytes) });
  };
}

interface Watched extends Pick<Progress, 'phase' | 'total'>, Pick<RunOptions, 'onProgress'> {
  readonly control: NativeControl & { skipped?(): number };
}

async function watched<T>({ phase, total, onProgress, control }: Watched, run: () => Promise<T>): Promise<T> {
  let thrown: { readonly error: unknown } | undefined;
  const speed = speedometer(total);
  const report = (done: number) => {
    const bytes = Math.min(done, total);
    try {
      onProgress?.({ phase, bytes, total, ...speed(bytes, control.skipped?.()) });
    } catch (error) {
      thrown ??= { error };
      control.cancel();
    }
  };
  const timer = onProgress && setInterval(() => report(control.done()), INTERVAL_MS).unref();
  try {
    const result = await run();
    clearInterval(timer);
    report(total);
    if (thrown) throw thrown.error;
    return result;
  } catch (error) {
    throw thrown ? thrown.error : error;
  } finally {
    clearInterval(timer);
  }
}

/** Native work that `signal` cancels by way of the control. */
export function controlled<T>(signal: AbortSignalLike | undefined, task: (control: NativeControl) => Promise<T>): Promise<T> {
  return abortable(signal, async () => {
    const control = call((native) => native.control());
    const cancel = () => control.cancel();
    signal?.addEventListener('abort', cancel);
    try {
      return await task(control);
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  });
}
