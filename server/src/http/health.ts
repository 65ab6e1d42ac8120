/** Whether the process lives, and whether it can serve. */
import type { FastifyInstance } from 'fastify';
import type { Context } from '../context.js';
import { implement } from './implement.js';

export function registerHealth(app: FastifyInstance, { db }: Context): void {
  implement(app, 'health', async () => ({ status: 'ok' as const }));
  implement(app, 'ready', async () => {
    await db.selectFrom('meta').select('key').limit(1).execute();
    return { status: 'ready' as const };
  });
}
