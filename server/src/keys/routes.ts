/** The server's keys, as clients and administrators see them. */
import { type Said, sayAs } from '@org/model-guard/server-kit';
import type { FastifyInstance } from 'fastify';
import { recordingRefusals } from '../audit/refused.js';
import type { Context } from '../context.js';
import { implement } from '../http/implement.js';
import { memberOf } from '../http/member.js';
import { beginRotation, findRotation, listRotations } from './rotation.js';
import { replaceSigningKey } from './succession.js';
import { RotationWorker } from './worker.js';

type ServerKeys = Said<'server'>['keys'];

export function registerKeys(app: FastifyInstance, context: Context): void {
  const { audit, keys, config, serverId, logId } = context;
  const worker = new RotationWorker(context);
  app.addHook('onReady', async () => worker.start());
  app.addHook('onClose', () => worker.stop());

  implement(app, 'server', async ({ caller }) => {
    const said: Said<'server'> = {
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
    return { server: sayAs(key, said), succession: [...succession] };
  });

  // Open, and so without an event: a client asks before it sends a password.
  implement(app, 'serverKey', async ({ query: { nonce } }) => {
    const { key, succession } = await keys.newest(context.db);
    const statement = sayAs(key, { kind: 'key', server: serverId, time: context.now(), nonce });
    return { statement, succession: [...succession] };
  });

  implement(app, 'keys', async ({ caller }) => {
    const answer = { keys: await serverKeys(context), rotations: await listRotations(context.db) };
    await audit.record({ action: 'keys.read', outcome: 'success', caller });
    return answer;
  });

  implement(app, 'rotateKeys', async ({ caller, body }) => {
    const rotation = await recordingRefusals(context, { action: 'keys.rotate', caller }, () =>
      beginRotation(context, memberOf(caller), body.acceptSeconds),
    );
    worker.wake();
    return rotation;
  });

  implement(app, 'rotateSigningKey', ({ caller }) => replaceSigningKey(context, memberOf(caller)));

  implement(app, 'getRotation', async ({ caller, params }) => {
    const entry = { action: 'keys.read', resource: `rotation:${params.rotation}`, caller } as const;
    const rotation = await recordingRefusals(context, entry, () => findRotation(context.db, params.rotation));
    // The process that worked on it may have been killed: whoever waits for the end need not wait for a tick.
    if (rotation.state === 'running') worker.wake();
    await audit.record({ ...entry, outcome: 'success' });
    return rotation;
  });
}

const TOKENS = { eddsa: 'EdDSA', hs256: 'HS256' } as const;

/** Every key whose private half is still there; the current one first. */
async function serverKeys({ db }: Context): Promise<ServerKeys> {
  const rows = await db
    .selectFrom('encryption_keys')
    .select(['key', 'state', 'until'])
    .where('state', '!=', 'removed')
    .orderBy('state')
    .orderBy('created', 'desc')
    .execute();
  return rows.map(({ key, state, until }) => ({
    key,
    state: state === 'current' ? 'current' : 'retiring',
    ...(until !== null && { until }),
  }));
}

/** Those that publishers may still use. */
async function offeredKeys(context: Context): Promise<ServerKeys> {
  const now = context.now();
  return (await serverKeys(context)).filter(({ until }) => until === undefined || until > now);
}
