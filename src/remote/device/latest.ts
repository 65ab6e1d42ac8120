/** The newest released version, by the server's signed word (docs/server-protocol.md, section 4). */
import type { AbortSignalLike } from '../../base/abort.js';
import { name as nameSchema } from '../../base/names.js';
import { parse } from '../../base/validate.js';
import { ModelGuardError } from '../../errors.js';
import type { ModelRef } from '../../stores/store.js';
import type { Connection } from '../connection.js';
import type { OwnDevice } from '../setup.js';
import { isUnavailable, shortly } from './unavailable.js';

/** Without the server it is the version of the lease that was kept. NOT_FOUND, ROLLBACK_REFUSED */
export async function latestOf(
  connection: Connection,
  device: OwnDevice | undefined,
  given: string,
  signal: AbortSignalLike | undefined,
): Promise<ModelRef> {
  const name = parse(nameSchema, given, 'name');
  const before = await device?.memory.before(signal);
  const found = before && device?.leases.kept(before, name);
  const ask = async (limited: AbortSignalLike | undefined, brief?: boolean): Promise<ModelRef> => {
    const said = await stated(connection, name, limited, brief);
    if (before) device?.memory.refuseOlder(before.state, said);
    return { name, version: said.version };
  };
  try {
    return found?.kept ? await shortly(connection, signal, (limited) => ask(limited, true)) : await ask(signal);
  } catch (error) {
    if (!found || !isUnavailable(error)) throw error;
    if (found.unserved) throw found.unserved(error);
    device?.leases.noteAway(error, (await connection.clock()).wall);
    return { name, version: found.kept.said.version };
  }
}

function stated(connection: Connection, name: string, signal: AbortSignalLike | undefined, brief: boolean | undefined) {
  const { client, trust, clock } = connection;
  return connection.procedure({ repeatable: true, signal, brief }, async (options) => {
    await trust.facts(options);
    const asked = await clock();
    const statement = await client.call('latestVersion', { params: { name } }, options);
    if (!trust.trusted.includes(statement.key)) await trust.ask(options);
    const said = await trust.read('latest', statement, asked);
    if (said.name !== name) throw new ModelGuardError('RESPONSE_INVALID', `The server tells the newest version of ${said.name}`);
    return said;
  });
}
