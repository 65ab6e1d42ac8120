/** Routes for balancers: whether the process runs, and whether it can serve. */
import type { FastifyInstance } from 'fastify';
import { TimeoutError, withTimeout } from '../base/timeout.js';
import { DatabaseUnavailable } from '../database/unavailable.js';
import { implement } from './implement.js';

/** A balancer repeats its request soon, and takes a missing answer for a failure. */
const LATE_MS = 2000;

/** @param demandReady Throws where the server cannot serve now. */
export function registerHealth(app: FastifyInstance, demandReady: () => Promise<void>): void {
  implement(app, 'health', async () => ({ status: 'ok' as const }));
  implement(app, 'ready', async () => {
    await withTimeout(demandReady(), LATE_MS).catch((error: unknown) => {
      throw error instanceof TimeoutError
        ? new DatabaseUnavailable(`The database does not answer: ${error.message}`, true)
        : error;
    });
    return { status: 'ready' as const };
  });
}
