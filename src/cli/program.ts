/** All commands in one program, and one way out of it. */
import { Command } from 'commander';
import { isModelGuardError } from '../errors.js';
import { registerAuditLog } from './commands/audit-log.js';
import { registerCache } from './commands/cache.js';
import { registerDevices, registerEntitlements, registerLeases, registerUsers } from './commands/devices.js';
import { registerEncrypt } from './commands/encrypt.js';
import { registerFingerprint } from './commands/fingerprint.js';
import { registerInspect, registerVerify } from './commands/inspect.js';
import { registerKey } from './commands/key.js';
import { registerKeygen } from './commands/keygen.js';
import { registerDecrypt, registerLoad } from './commands/load.js';
import { registerEnroll, registerLogin, registerPassword } from './commands/login.js';
import { registerMigrate } from './commands/migrate.js';
import { registerArchives, registerModels, registerServerKeys } from './commands/models.js';
import { registerMerge, registerRewrap, registerSplit } from './commands/parts.js';
import { registerProtect, registerRekey } from './commands/protect.js';
import { registerPublish, registerRelease } from './commands/publish.js';
import { registerUnlock } from './commands/unlock.js';
import { Context, packageVersion } from './context.js';
import { EXIT_HELP, errorText, exitCodeOf, isCommanderError } from './exit.js';
import { example } from './flags.js';
import { refuseStrange } from './option-names.js';
import { checkOutputs } from './outputs.js';
import { StandardStreams, withTerminalFlag } from './standard-streams.js';
import type { Stdout } from './stdout.js';
import { type Refusing, unknownFlag } from './strict.js';

const REGISTER = [
  registerKeygen,
  registerKey,
  registerProtect,
  registerLoad,
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

/** Names a flag that it does not know before one that it misses. */
class StrictCommand extends Command {
  override createCommand(name?: string): Command {
    return new StrictCommand(name);
  }

  override parseOptions(args: string[]): ReturnType<Command['parseOptions']> {
    const parsed = super.parseOptions(args);
    const flag = unknownFlag(this, parsed);
    if (flag !== undefined) (this as unknown as Refusing).unknownOption(flag);
    return parsed;
  }
}

/** A failed write throws what the system says: standard output knows what that means. */
async function explained(thrown: unknown, stdout: Stdout): Promise<unknown> {
  if (isModelGuardError(thrown) || isCommanderError(thrown)) return thrown;
  return (await stdout.failure()) ?? thrown;
}

/** All commands, which write and stop as `context` says. With `json` the errors of Commander are left to the end of the command. */
export function programOf(context: Context, json = false): Command {
  const program = new StrictCommand('model-guard')
    .description('Protect machine-learning models on machines you do not own.')
    .version(packageVersion())
    // After the name of a command its own flags count alone: `protect … --version 9` asks for no version of the program.
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
  const context = new Context();
  context.watchSignals();
  const json = args.includes('--json');
  const program = programOf(context, json);
  const streams = new StandardStreams(context);
  let command: Command | undefined;
  program.hook('preAction', async (_, acting) => {
    command = acting;
    refuseStrange(acting);
    await checkOutputs(acting);
    await streams.replace(acting);
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    await streams.write();
    // A command is done when its output is written.
    const unwritten = await context.stdout.failure();
    if (unwritten) throw unwritten;
    return 0;
  } catch (thrown) {
    const error = await explained(thrown, context.stdout);
    const text = errorText(error, json, command);
    if (text !== undefined) context.note(text);
    return context.interrupted ?? exitCodeOf(error);
  } finally {
    await streams.remove();
    context.close();
  }
}
