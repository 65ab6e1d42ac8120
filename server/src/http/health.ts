/** Whether the process lives, and whether it can serve. */
import type { FastifyInstance } from 'fastify';
import type { Context } from '../context.js';
import { implement } from './implement.js';

export function registerHealth(app: FastifyInstance, { db, keys }: Context): void {
  implement(app, 'health', async () => ({ status: 'ok' as const }));
  implement(app, 'ready', async () => {
    // A replica that cannot sign with the newest key serves nobody.
    await keys.newest(db);
    return { status: 'ready' as const };
  });
}
