/** A server that begins a rotation and is killed in the middle of it. Arguments: the data folder; the share of the work, in percent. */
import { setImmediate } from 'node:timers/promises';
import { beginRotation, findRotation } from '../../src/keys/rotation.js';
import { RotationWorker } from '../../src/keys/rotation-worker.js';
import { configure } from '../../src/start/config.js';
import { openServer } from '../../src/start/server.js';

const [folder = '', percent = ''] = process.argv.slice(2);
const { context } = await openServer(configure({ data: folder, port: 0, logLevel: 'silent' }, {}));
const { id, subject, role } = await context.db
  .selectFrom('users')
  .selectAll()
  .where('role', '=', 'apiAdmin')
  .executeTakeFirstOrThrow();
const caller = { address: '', request: 'child', account: { id, subject, role } };
const { id: rotation } = await beginRotation(context, caller, 3600);
new RotationWorker(context).wake();
for (;;) {
  const { done, total } = await findRotation(context.db, rotation);
  if (done * 100 >= total * Number(percent)) process.kill(process.pid, 'SIGKILL');
  // The database answers at once: without this nothing else would run.
  await setImmediate();
}
