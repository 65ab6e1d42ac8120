/** The `model-guard-server` command: starts a server and stops it on signals; prints its key; gives an account a new password. */
import { askNewPassword, exitCodeOf, isCommanderError, isModelGuardError, readLine } from '@org/model-guard/server-kit';
import { resetPassword } from '../accounts/reset-password.js';
import { announce } from './announcement.js';
import { type KeyOutput, makeCommand, type Reset } from './command.js';
import { configure, type Settings } from './config.js';
import { makeLog } from './log.js';
import { maintain, publicKeys } from './maintenance.js';
import { startServer } from './server.js';
import { version } from './version.js';

async function run(settings: Settings): Promise<void> {
  const config = configure(settings);
  const log = makeLog(config);
  const write = process.stdout.isTTY ? (text: string) => void process.stdout.write(text) : undefined;
  const server = await startServer(config, { log, logAddresses: write === undefined });
  process.on('SIGHUP', () => void server.reloadCertificates());
  stopOnSignals(async (signal) => {
    log.info({ signal }, 'stopping');
    await server.close();
    log.info('stopped');
  });
  // Last: a supervisor may answer the announcement with a signal at once.
  announce(server, server.context.config, { log, write });
}

async function showKey(settings: Settings, { json }: KeyOutput): Promise<void> {
  const names = await publicKeys(configure(settings));
  process.stdout.write(json ? `${JSON.stringify(names)}\n` : `${names.signingKey}\n`);
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

/** Exit codes of an immediate stop, as in the client's command line. */
const STOPPED = { SIGINT: 130, SIGTERM: 143 } as const;

/** The first signal stops in order; a second one at once. */
function stopOnSignals(stop: (signal: NodeJS.Signals) => Promise<void>): void {
  let stopping = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (stopping) process.exit(STOPPED[signal]);
      stopping = true;
      stop(signal).then(() => process.exit(0), fail);
    });
}

function fail(error: unknown): never {
  // Commander has written its message.
  if (!isCommanderError(error)) process.stderr.write(`model-guard-server: ${messageOf(error)}\n`);
  process.exit(exitCodeOf(error));
}

/** One sentence for the operator; a stack only for faults of the code. */
function messageOf(error: unknown): string {
  if (!isModelGuardError(error)) return String((error as Error).stack ?? error);
  const system = systemErrorOf(error);
  return `${error.message} (${error.code})${system ? `\nThe system reported: ${system.message}` : ''}`;
}

/** The system call's error among the causes, if there is one. */
function systemErrorOf(error: Error): Error | undefined {
  if ('syscall' in error) return error;
  return error.cause instanceof Error ? systemErrorOf(error.cause) : undefined;
}

await makeCommand(version, run, { resetPassword: reset, showKey }).parseAsync().catch(fail);
