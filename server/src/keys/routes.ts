/** Routes of the server's keys. */
import { type StatementBody, signAs } from '@org/model-guard/server-kit';
import type { FastifyInstance } from 'fastify';
import { recordRefusals } from '../audit/record-refusals.js';
import { memberOf } from '../base/caller.js';
import type { Context } from '../context.js';
import { implement } from '../http/implement.js';
import { beginRotation, findRotation, listRotations } from './rotation.js';
import { RotationWorker } from './rotation-worker.js';
import { replaceSigningKey } from './succession.js';
import { deleteExpiredTaskLeases } from './task-lease.js';

type ServerKeys = StatementBody<'server'>['keys'];

export function registerKeys(app: FastifyInstance, context: Context): void {
  const { audit, keys, config, serverId, logId } = context;
  // A SQLite database has one process, so it has no task leases to delete.
  if (config.databaseUrl !== undefined) context.cleanup.add(() => deleteExpiredTaskLeases(context.db, context.now()));
  const worker = new RotationWorker(context);
  app.addHook('onReady', async () => worker.start());
  app.addHook('onClose', () => worker.stop());

  implement(app, 'server', async ({ caller }) => {
    const statement: StatementBody<'server'> = {
      kind: 'server',
      server: serverId,
      time: context.now(),
      keys: await offeredKeys(context),
      auditKey: keys.audit.publicKey.toString(),
      logId,
      tokens: config.authentication ? TOKENS[config.tokens] : 'off',
    };
    await audit.record({ action: 'server.read', outcome: 'success', caller });
    const { key, succession } = await keys.newest(context.db);
    return { server: signAs(key, statement), succession: [...succession] };
  });

  // Open to everyone, so it records no event: a client calls it before it sends a password.
  implement(app, 'serverKey', async ({ query: { nonce } }) => {
    const { key, succession } = await keys.newest(context.db);
    const statement = signAs(key, { kind: 'key', server: serverId, time: context.now(), nonce });
    return { statement, succession: [...succession] };
  });

  implement(app, 'keys', async ({ caller }) => {
    const answer = { keys: await serverKeys(context), rotations: await listRotations(context.db) };
    await audit.record({ action: 'keys.read', outcome: 'success', caller });
    return answer;
  });

  implement(app, 'rotateKeys', async ({ caller, body }) => {
    const rotation = await recordRefusals(context, { action: 'keys.rotate', caller }, () =>
      beginRotation(context, memberOf(caller), body.acceptSeconds),
    );
    worker.wake();
    return rotation;
  });

  implement(app, 'rotateSigningKey', ({ caller }) => replaceSigningKey(context, memberOf(caller)));

  implement(app, 'getRotation', async ({ caller, params }) => {
    const entry = { action: 'keys.read', resource: `rotation:${params.rotation}`, caller } as const;
    const rotation = await recordRefusals(context, entry, () => findRotation(context.db, params.rotation));
    // The process that worked on it may have been killed: start at once rather than at the next tick.
    if (rotation.state === 'running') worker.wake();
    await audit.record({ ...entry, outcome: 'success' });
    return rotation;
  });
}

const TOKENS = { eddsa: 'EdDSA', hs256: 'HS256' } as const;

/** Every key whose private half still exists; the current one first. */
async function serverKeys({ db }: Context): Promise<ServerKeys> {
  const rows = await db
    .selectFrom('encryption_keys')
    .select(['key', 'state', 'until'])
    .where('state', '!=', 'removed')
    // "current" comes before "retiring".
    .orderBy('state')
    .orderBy('created', 'desc')
    .execute();
  return rows.map(({ key, state, until }) => ({
    key,
    state: state === 'current' ? 'current' : 'retiring',
    ...(until !== null && { until }),
  }));
}

/** The keys that publishers may still use. */
async function offeredKeys(context: Context): Promise<ServerKeys> {
  const now = context.now();
  return (await serverKeys(context)).filter(({ until }) => until === undefined || until > now);
}
