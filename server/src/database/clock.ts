/**
 * Uses the database's time as the server's time, so that no process that shares the database ends or deletes a thing too early
 * for another one (docs/decisions/0024-the-time-is-the-databases.md).
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { Config } from '../base/config.js';
import type { Database } from './connection.js';

/** Pause between two readings. Between them the time advances by this process's uptime, whatever happens to the wall clock. */
const READ_EVERY_MS = 10_000;
/** A reading that takes longer is ignored: it could be wrong by half of the time it took. */
const LATE_MS = 2000;
/** Seconds between this machine's clock and the database's from which a warning is logged; clients tolerate 120. */
const WARNED_SECONDS = 30;

export interface Clock {
  /** Seconds since 1970. */
  readonly now: () => number;
  close(): void;
}

/** The clocks that the time is computed from. */
export interface ClockSource {
  /** The database's time, in seconds since 1970. */
  read(): Promise<number>;
  /** Milliseconds that only grow. */
  uptime(): number;
  /** This machine's wall clock, in milliseconds since 1970. */
  wall(): number;
}

/** The clock of the database; of this machine for a file. */
export async function openClock(db: Database, { databaseUrl }: Pick<Config, 'databaseUrl'>, log: Logger): Promise<Clock> {
  if (databaseUrl === undefined) return { now: () => Math.floor(Date.now() / 1000), close: () => undefined };
  const read = async (): Promise<number> => {
    const { rows } = await sql<{ seconds: number }>`select extract(epoch from clock_timestamp())::float8 as seconds`.execute(db);
    return Number(rows[0]?.seconds);
  };
  const clock = new DatabaseClock({ read, uptime: () => performance.now(), wall: () => Date.now() }, log);
  await clock.measure();
  const timer = setInterval(() => void clock.measure().catch(() => undefined), READ_EVERY_MS).unref();
  return { now: clock.now, close: () => clearInterval(timer) };
}

/** Keeps the difference between the database's time and the time since this process started. */
export class DatabaseClock {
  readonly #source: ClockSource;
  readonly #log: Pick<Logger, 'warn'>;
  /** Seconds between 1970 and the start of `uptime`. */
  #origin: number | undefined;
  #warned = false;

  constructor(source: ClockSource, log: Pick<Logger, 'warn'>) {
    this.#source = source;
    this.#log = log;
  }

  readonly now = (): number => {
    if (this.#origin === undefined) throw new TypeError('the clock of the database was not read yet');
    return Math.floor(this.#origin + this.#source.uptime() / 1000);
  };

  /** Reads the database's clock. After a failure the time goes on by the last reading; the first reading must succeed. */
  async measure(): Promise<void> {
    const { read, uptime, wall } = this.#source;
    const before = uptime();
    const seconds = await read();
    const took = uptime() - before;
    if (!Number.isFinite(seconds)) throw new TypeError('the database does not say what time it is');
    if (this.#origin !== undefined && took > LATE_MS) return;
    this.#origin = seconds - (before + took / 2) / 1000;
    const ahead = Math.round(wall() / 1000 - seconds);
    const far = Math.abs(ahead) > WARNED_SECONDS;
    if (far && !this.#warned)
      this.#log.warn({ ahead_seconds: ahead }, "this machine's clock is not the database's: the server goes by the database's");
    this.#warned = far;
  }
}
