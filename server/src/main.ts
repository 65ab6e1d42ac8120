/** The `model-guard-server` command: starts a server, and stops it when it is told to; gives an account a new password. */
import { createRequire } from 'node:module';
import { askNewPassword, ERROR_CODES, isModelGuardError, readLine } from '@org/model-guard/server-kit';
import { resetPassword } from './accounts/reset-password.js';
import { makeCommand, type Reset } from './command.js';
import { configure, type Settings } from './config.js';
import { makeLog } from './log.js';
import { maintain } from './maintenance.js';
import { startServer } from './server.js';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

async function run(settings: Settings): Promise<void> {
  const config = configure(settings);
  const log = makeLog(config);
  const server = await startServer(config, { log });
  const { serverId, keys } = server.context;
  log.info({ url: server.url, server_id: serverId, signing_key: keys.signing.publicKey.toString() }, 'listening');
  if (!config.authentication) log.warn('authentication is off: every request is an administrator');
  if (server.firstPassword !== undefined)
    log.warn({ file: server.firstPassword }, 'the first password is in this file: change it at the first log-in');
  process.on('SIGHUP', () => void server.reloadCertificates());
  stopOnSignals(async (signal) => {
    log.info({ signal }, 'stopping');
    await server.close();
    log.info('stopped');
  });
}

async function reset(settings: Settings, { email, passwordFile }: Reset): Promise<void> {
  const config = configure(settings);
  const address = email ?? config.adminEmail;
  await maintain(config, async (context) => {
    const password = passwordFile === undefined ? await askNewPassword() : await readLine(passwordFile);
    await resetPassword(context, address, password);
  });
  process.stderr.write(`${address} has the new password; its tokens have ended\n`);
}

/** The first signal stops in order; a second one at once. */
function stopOnSignals(stop: (signal: NodeJS.Signals) => Promise<void>): void {
  let stopping = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (stopping) process.exit(1);
      stopping = true;
      stop(signal).then(() => process.exit(0), fail);
    });
}

function fail(error: unknown): never {
  // The person who starts a server wants a sentence; the stack is for faults of ours.
  const known = isModelGuardError(error);
  process.stderr.write(
    `model-guard-server: ${known ? `${error.message} (${error.code})` : String((error as Error).stack ?? error)}\n`,
  );
  process.exit(known ? ERROR_CODES[error.code].exit : 1);
}

await makeCommand(version, run, reset).parseAsync().catch(fail);
