/** Runs the tasks by which rooms delete what has expired, at the start and every hour. */
import type { FastifyInstance } from 'fastify';
import type { Cleanup, Context } from '../context.js';

const HOUR_MS = 3_600_000;

/** The tasks of all rooms, in the order in which they were added. */
export class CleanupTasks implements Cleanup {
  readonly #tasks: (() => Promise<unknown>)[] = [];

  add(task: () => Promise<unknown>): void {
    this.#tasks.push(task);
  }

  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (const task of this.#tasks) await task().catch((error: unknown) => failures.push(error));
    if (failures.length > 1) throw new AggregateError(failures, 'several cleanup tasks failed');
    if (failures.length === 1) throw failures[0];
  }
}

/** Runs the tasks when the server is ready and then every hour, until it closes. */
export function startCleanup(app: FastifyInstance, { cleanup, audit, log }: Context): void {
  let running: Promise<void> = Promise.resolve();
  const run = (): void => {
    running = running.then(() => cleanup.run()).catch((err: unknown) => log.error({ err }, 'the hourly cleanup failed'));
  };
  let timer: NodeJS.Timeout | undefined;
  app.addHook('onReady', async () => {
    run();
    timer = setInterval(run, HOUR_MS).unref();
  });
  app.addHook('onClose', async () => {
    clearInterval(timer);
    await running;
    await audit.settle(true);
  });
}
