/** Detects a clock of this machine that is wrong (docs/server-protocol.md, section 4). */
import { readFile } from 'node:fs/promises';
import { ModelGuardError } from '../errors.js';

/** Seconds that clocks may differ by. */
export const TOLERANCE = 120;

/** A reading of the clocks of this machine. */
export interface Moment {
  /** Seconds since 1970. */
  readonly wall: number;
  /** Another after every start; empty where the system tells none. */
  readonly bootId: string;
  /** Seconds since the start, sleep included. */
  readonly boottime: number;
}

/** The latest time that is known to have passed, and when in which boot it was. */
export interface Seen {
  readonly time: number;
  readonly bootId: string;
  readonly boottime: number;
}

export type Clock = () => Promise<Moment>;

export const systemClock: Clock = async () => {
  const [bootId = '', uptime = ''] = await Promise.all(
    ['/proc/sys/kernel/random/boot_id', '/proc/uptime'].map((path) => readFile(path, 'utf8').catch(() => '')),
  );
  return { wall: Math.floor(Date.now() / 1000), bootId: bootId.trim(), boottime: Number.parseFloat(uptime) || 0 };
};

/** The earliest time that it can be: within one boot, the time since the last reading counts. */
function atLeast(seen: Seen, now: Moment): number {
  const passed = seen.bootId !== '' && seen.bootId === now.bootId ? Math.max(0, now.boottime - seen.boottime) : 0;
  return seen.time + Math.floor(passed);
}

/** Whether the clock shows a time before the last known one. */
export const isSetBack = (seen: Seen | undefined, now: Moment): boolean =>
  seen !== undefined && now.wall < atLeast(seen, now) - TOLERANCE;

/** @param cause Why the server's signed time did not correct what is known. */
export const clockSetBack = (seen: Seen, now: Moment, cause: unknown): ModelGuardError =>
  new ModelGuardError(
    'CLOCK_SET_BACK',
    `The clock shows ${dateOf(now.wall)}; it is ${dateOf(atLeast(seen, now))} at least, by what this device has seen`,
    { cause },
  );

/**
 * CLOCK_SKEWED
 * @param asked When the request was sent; the server signed at some moment between then and `now`.
 */
export function refuseSkewed(serverTime: number, asked: Moment, now: Moment): void {
  if (serverTime >= asked.wall - TOLERANCE && serverTime <= Math.max(now.wall, asked.wall) + TOLERANCE) return;
  throw new ModelGuardError('CLOCK_SKEWED', `The server's clock shows ${dateOf(serverTime)}, this machine's ${dateOf(now.wall)}`);
}

/**
 * The last known time after `now`. The time that passed since is added, so that a clock that is set back a little again and again stands
 * still for no longer than the tolerance.
 */
export function seenAfter(seen: Seen | undefined, now: Moment, serverTime = 0): Seen {
  const time = Math.max(seen ? atLeast(seen, now) : 0, now.wall, serverTime);
  return { time, bootId: now.bootId, boottime: now.boottime };
}

const dateOf = (seconds: number): string => new Date(seconds * 1000).toISOString();
