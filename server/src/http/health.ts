/** Whether the process lives, and whether it can serve. */
import type { FastifyInstance } from 'fastify';
import type { Context } from '../context.js';
import { DatabaseAway } from '../database/away.js';
import { makeWriteProbe } from '../database/writable.js';
import { inTime, NotInTime } from '../in-time.js';
import { demandCurrentKey } from '../keys/wrapping.js';
import { implement } from './implement.js';

/** A balancer asks again soon, and takes no answer for a bad one. */
const LATE_MS = 2000;

export function registerHealth(app: FastifyInstance, context: Context): void {
  implement(app, 'health', async () => ({ status: 'ok' as const }));
  const tryWrite = makeWriteProbe(context);
  implement(app, 'ready', async () => {
    await inTime(canServe(context, tryWrite), LATE_MS).catch((error: unknown) => {
      throw error instanceof NotInTime ? new DatabaseAway(`The database does not answer: ${error.message}`, true) : error;
    });
    return { status: 'ready' as const };
  });
}

async function canServe(context: Context, tryWrite: () => Promise<void>): Promise<void> {
  // The keys that the database names, which may be another one than a minute ago: without them nothing is signed, and nothing opened.
  await context.keys.newest(context.db);
  await demandCurrentKey(context);
  await context.parts.demandReadable();
  await tryWrite();
}
