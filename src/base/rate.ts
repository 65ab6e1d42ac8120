/** How fast something goes, and how long it will still take: by what was done over the last seconds. */

const WINDOW_MS = 5000;

export interface Speed {
  /** Bytes a second; 0 until it can be told, and while nothing moves. */
  readonly rate: number;
  /** Seconds; absent until it can be told. */
  readonly remaining?: number;
}

/**
 * Begins to measure. The result is called with how many bytes are done, again and again; `skipped` of them took no time, since they were
 * done before.
 * @param now Milliseconds, on a monotonic clock.
 */
export function speedometer(
  total: number,
  now: () => number = () => performance.now(),
): (done: number, skipped?: number) => Speed {
  const samples = [{ at: now(), moved: 0 }];
  return (done, skipped = 0) => {
    const last = { at: now(), moved: done - skipped };
    samples.push(last);
    while (samples[1] && samples[1].at <= last.at - WINDOW_MS) samples.shift();
    const [first = last] = samples;
    const seconds = (last.at - first.at) / 1000;
    const rate = seconds > 0 ? (last.moved - first.moved) / seconds : 0;
    if (done >= total) return { rate, remaining: 0 };
    return rate > 0 ? { rate, remaining: (total - done) / rate } : { rate: 0 };
  };
}
