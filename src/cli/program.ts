/** Runs a command line: registers all commands, and turns results into exit codes. */
import { Command, CommanderError } from 'commander';
import { isModelGuardError } from '../errors.js';
import { versions } from '../index.js';
import { isCommanderError } from '../terminal/exit.js';
import { makeStrict } from '../terminal/strict.js';
import { registerArchives } from './commands/archives/index.js';
import { registerAuditLog } from './commands/audit-log/index.js';
import { registerCache } from './commands/cache/index.js';
import { registerDecrypt } from './commands/decrypt.js';
import { registerDevices } from './commands/devices/index.js';
import { registerEncrypt } from './commands/encrypt.js';
import { registerEnroll } from './commands/enroll.js';
import { registerEntitlements } from './commands/entitlements/index.js';
import { registerFingerprint } from './commands/fingerprint.js';
import { registerInspect } from './commands/inspect.js';
import { registerKey } from './commands/key/index.js';
import { registerKeygen } from './commands/keygen.js';
import { registerLeases } from './commands/leases/index.js';
import { registerLoad } from './commands/load.js';
import { registerLogin } from './commands/login.js';
import { registerMerge } from './commands/merge.js';
import { registerMigrate } from './commands/migrate.js';
import { registerModels } from './commands/models/index.js';
import { registerPassword } from './commands/password.js';
import { registerProtect } from './commands/protect.js';
import { registerPublish } from './commands/publish.js';
import { registerRekey } from './commands/rekey.js';
import { registerRelease } from './commands/release.js';
import { registerRewrap } from './commands/rewrap.js';
import { registerRun } from './commands/run.js';
import { registerServerKeys } from './commands/server-keys/index.js';
import { registerSplit } from './commands/split.js';
import { registerUnlock } from './commands/unlock.js';
import { registerUsers } from './commands/users/index.js';
import { registerVerify } from './commands/verify.js';
import { Context } from './context.js';
import { EXIT_HELP, errorText, exitOf } from './exit.js';
import { example } from './flags/common.js';
import { checkValues } from './option-labels.js';
import { checkOutputs } from './output-folders.js';
import { packageVersion } from './sdk.js';
import { StandardStreams, withTerminalFlag } from './standard-streams.js';
import type { Stdout } from './stdout.js';

const REGISTER = [
  registerKeygen,
  registerKey,
  registerProtect,
  registerLoad,
  registerRun,
  registerEncrypt,
  registerDecrypt,
  registerSplit,
  registerMerge,
  registerInspect,
  registerVerify,
  registerRewrap,
  registerRekey,
  registerFingerprint,
  registerMigrate,
  registerLogin,
  registerPassword,
  registerEnroll,
  registerPublish,
  registerRelease,
  registerModels,
  registerDevices,
  registerEntitlements,
  registerLeases,
  registerUsers,
  registerArchives,
  registerUnlock,
  registerCache,
  registerServerKeys,
  registerAuditLog,
];

/** The error of standard output, where a failed write threw the error of the system. */
async function explained(thrown: unknown, stdout: Stdout): Promise<unknown> {
  if (isModelGuardError(thrown) || isCommanderError(thrown)) return thrown;
  return (await stdout.failure()) ?? thrown;
}

/** With `json`, Commander writes no errors: they become JSON at the end. */
export function programOf(context: Context, json = false): Command {
  const program = makeStrict(new Command('model-guard'))
    .description('Protect machine-learning models on machines you do not own.')
    .option('-V, --version', 'print the version; with --json, those of OpenSSL and the runtime too')
    .on('option:version', () => {
      context.stdout.write(`${json ? JSON.stringify(versions()) : (packageVersion() ?? 'unknown')}\n`);
      throw new CommanderError(0, 'commander.version', '');
    })
    // After the name of a command only its own flags count: `models --version` is an error.
    .enablePositionalOptions()
    .configureOutput(json ? { outputError: () => undefined } : {})
    .exitOverride();
  for (const register of REGISTER) register(program, context);
  example(program, 'model-guard keygen --type signing --out publisher.key', 'model-guard protect --help').addHelpText(
    'after',
    EXIT_HELP,
  );
  for (const command of leavesOf(program)) {
    withTerminalFlag(command);
    command.option('--verbose', 'after an error, show everything that led to it');
  }
  return program;
}

const leavesOf = (command: Command): readonly Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);

/** Runs one command; the result is the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const context = new Context(args);
  context.watchSignals();
  // Behind -- stand the words of another program.
  const json = args.slice(0, args.includes('--') ? args.indexOf('--') : undefined).includes('--json');
  const program = programOf(context, json);
  const streams = new StandardStreams(context);
  let command: Command | undefined;
  program.hook('preAction', async (_, acting) => {
    command = acting;
    checkValues(acting);
    await checkOutputs(acting);
    await streams.replace(acting);
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    await streams.write();
    // A command is done when its output is written.
    const unwritten = await context.stdout.failure();
    if (unwritten) throw unwritten;
    return context.exit;
  } catch (thrown) {
    const error = await explained(thrown, context.stdout);
    const text = errorText(error, json, command);
    if (text !== undefined) context.note(text);
    return context.interrupted ?? exitOf(error);
  } finally {
    await streams.remove();
    context.close();
  }
}
