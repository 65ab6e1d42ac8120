import type { Command } from 'commander';
import type { UnlockState } from '../../index.js';
import type { Context } from '../context.js';
import { feedCommand } from '../feed-command.js';
import { example, usage } from '../flags/common.js';
import { type OriginFlags, originOf, withOrigin } from '../flags/keys.js';
import { deviceServerOf, type ServerFlags, withDevice, withoutCredentials, withServer } from '../flags/server.js';

interface Flags extends ServerFlags, OriginFlags {
  readonly name?: string;
}

export function registerUnlock(program: Command, context: Context): void {
  const command = program
    .command('unlock')
    .description("decrypt a local archive with a key from the guard server, into a command's standard input")
    .argument('<ARCHIVE>', 'the encrypted archive')
    .argument('[CMD...]', 'after --: the command to start; without one, standard output')
    .option('--name <N>', 'its registered name (default: the file name)');
  withOrigin(withDevice(withServer(command)));
  example(command, 'model-guard unlock images.tar.mguard --signer mgs1:… -- tar -x -C /srv/images');
  command.addHelpText(
    'after',
    `
The command leads a process group of its own. If anything fails, the group is killed before its input ends, so that it never takes
a part for the whole; what leaves the group (setsid) is out of reach, and so is everything when model-guard itself is killed (SIGKILL).
In a pipeline of your shell nothing can do that: set -o pipefail, and use what came out only if the status is 0.`,
  );
  command.action(async (archive: string, argv: readonly string[], flags: Flags) => {
    if (argv.length > 0) context.checkSeparator();
    const guard = await deviceServerOf(flags);
    const origin = flags.signer || flags.unsigned ? await originOf(flags) : {};
    const unlocking = guard.unlock(archive, {
      ...(flags.name !== undefined && { name: flags.name }),
      ...origin,
      ...context.run(),
      onState: (state) => context.note(`${archive}: ${STATES[state]}`),
    });
    const [program, ...args] = argv;
    if (program !== undefined)
      return feedCommand([program, ...args], (input) => unlocking.pipeTo(input), { env: withoutCredentials() });
    if (process.stdout.isTTY) throw usage('Standard output is a terminal: give a command after --, or redirect it');
    return unlocking.pipeTo(process.stdout);
  });
}

const STATES: Readonly<Record<UnlockState, string>> = {
  idle: 'not begun',
  authenticating: 'logging in',
  fetchingKey: 'fetching its key',
  decrypting: 'decrypting',
  done: 'done',
  failed: 'failed',
};
