import type { Command } from 'commander';
import { throwIfAborted } from '../../base/abort.js';
import { type GuardedModel, load } from '../../index.js';
import type { Context } from '../context.js';
import { example, usage } from '../flags/common.js';
import { LOADED, type LoadFlags, loadingOf, withLoading } from '../flags/load.js';
import { withoutCredentials } from '../flags/server.js';
import { InheritedPaths, MountedPaths } from '../program-paths.js';
import { startProgram } from '../run-program.js';

interface Flags extends LoadFlags {
  readonly mount?: boolean;
}

export function registerRun(program: Command, context: Context): void {
  const command = program
    .command('run')
    .description('run a program with the path of a published model, which is decrypted in memory only (Linux)')
    .argument(...LOADED)
    .argument('[CMD...]', 'after --: the program and its arguments');
  withLoading(command).option(
    '--mount',
    'as files of a mount that only the program sees, for libraries that resolve paths (HDF5)',
  );
  example(
    command,
    'model-guard run defects@3 --identity device.key --signer mgs1:… --store /srv/models -- python3 infer.py {model}',
    'model-guard run defects --guard -- ./serve --weights {file:weights.bin}',
    'model-guard run classifier@2 --identity device.key --signer mgs1:… --store /srv/models --mount -- python3 keras_infer.py {model}',
  );
  command.addHelpText(
    'after',
    `
In the arguments, {model} is the path of the model: of its only file, or of a folder of links to its files. {file:NAME} is the path of one
file. The variable MODEL_GUARD_MODEL is the same as {model}. The files have no name in any file system: the program inherits descriptors of
them, 3 and up, sealed against writing, and the paths are good in it and in the children that inherit these. When it ends the model is
wiped, and what it left running sees zeros.

With --mount they are ordinary read-only files with their own names, in memory (tmpfs), at a place where only the program and its children
see them: it runs in a mount namespace of its own, and in a user namespace where this user needs one for that; there it stays the same
user and cannot become another. While it starts the model lies in memory twice, then once: in the mount, which the kernel frees, without wiping
it, with the last process that has it open. That memory can be swapped out unless root runs it on Linux 6.4 or newer. Where the system
forbids such mounts, run ends with MOUNT_REFUSED and starts nothing.

Streams and signals (INT, TERM, HUP, QUIT, USR1, USR2, WINCH) are the program's, and so is the exit code: 128 and the number of the signal
that ended it, 127 if it cannot be found, 126 if it cannot be executed. In the foreground of a terminal INT, QUIT and WINCH are those that the
terminal sends: one that another process sends to model-guard alone is not passed on. If model-guard itself is killed (SIGKILL) the program
goes on.`,
  );
  command.action(async (ref: string, [name, ...args]: readonly string[], flags: Flags) => {
    if (!name) throw usage(`Give the program to run after --: model-guard run ${ref} … -- CMD {model}`);
    context.checkSeparator();
    // Node opens a debugger at this signal, which is the program's.
    process.on('SIGUSR1', () => {});
    const model = await load(ref, { ...(await loadingOf(flags)), ...context.run(flags), as: 'path' });
    try {
      await runOn(model, [name, ...args], context, flags);
    } finally {
      await model[Symbol.asyncDispose]();
    }
  });
}

async function runOn(
  model: GuardedModel,
  [name, ...args]: readonly [string, ...string[]],
  context: Context,
  { mount }: Flags,
): Promise<void> {
  const paths = mount ? new MountedPaths(model) : new InheritedPaths(model);
  try {
    const words = [name, ...args.map((word) => paths.insertInto(word))] as const;
    throwIfAborted(context.signal);
    const running = await paths.lend((launch) =>
      startProgram(words, {
        env: { ...withoutCredentials(), MODEL_GUARD_MODEL: paths.model },
        launch,
        onSignals: () => context.passSignalsOn(),
      }),
    );
    // The program has a copy.
    if (mount) model.dispose();
    context.exit = await running.ended;
  } finally {
    paths.remove();
  }
}
