import { closeSync, openSync } from 'node:fs';
import type { Command } from 'commander';
import { throwIfAborted } from '../../base/abort.js';
import { codeOf, isError, ModelGuardError } from '../../errors.js';
import { withFileErrorsSync } from '../../files/files.js';
import { LinkFolder } from '../../files/link-folder.js';
import { type GuardedFile, type GuardedModel, load } from '../../index.js';
import type { Context } from '../context.js';
import { example, usage } from '../flags/common.js';
import { LOADED, type LoadFlags, loadingOf, withLoading } from '../flags/load.js';
import { withoutCredentials } from '../flags/server.js';
import { type RunningProgram, startProgram } from '../run-program.js';
import { isFolder } from '../sdk.js';

/** Behind stdin, stdout and stderr. */
const FIRST_DESCRIPTOR = 3;
const NO_DESCRIPTORS: ReadonlySet<string | undefined> = new Set(['EMFILE', 'ENFILE']);
/** File names that an error lists. */
const MOST_NAMES = 10;

export function registerRun(program: Command, context: Context): void {
  const command = program
    .command('run')
    .description('run a program with the path of a published model, which is decrypted in memory only (Linux)')
    .argument(...LOADED)
    .argument('[CMD...]', 'after --: the program and its arguments');
  withLoading(command);
  example(
    command,
    'model-guard run defects@3 --identity device.key --signer mgs1:… --store /srv/models -- python3 infer.py {model}',
    'model-guard run defects --guard -- ./serve --weights {file:weights.bin}',
  );
  command.addHelpText(
    'after',
    `
In the arguments, {model} is the path of the model: of its only file, or of a folder of links to its files. {file:NAME} is the path of one
file. The variable MODEL_GUARD_MODEL is the same as {model}. The files have no name in any file system: the program inherits descriptors of
them, 3 and up, sealed against writing, and the paths are good in it and in the children that inherit these. When it ends the model is
wiped, and what it left running sees zeros.

Streams and signals (INT, TERM, HUP, QUIT, USR1, USR2, WINCH) are the program's, and so is the exit code: 128 and the number of the signal
that ended it, 127 if it cannot be found, 126 if it cannot be executed. In the foreground of a terminal INT, QUIT and WINCH are those that the
terminal sends: one that another process sends to model-guard alone is not passed on. If model-guard itself is killed (SIGKILL) the program
goes on.`,
  );
  command.action(async (ref: string, [name, ...args]: readonly string[], flags: LoadFlags) => {
    if (!name) throw usage(`Give the program to run after --: model-guard run ${ref} … -- CMD {model}`);
    context.checkSeparator();
    // Node opens a debugger at this signal, which is the program's.
    process.on('SIGUSR1', () => {});
    const model = await load(ref, { ...(await loadingOf(flags)), ...context.run(flags), as: 'path' });
    try {
      await runOn(model, [name, ...args], context);
    } finally {
      await model[Symbol.asyncDispose]();
    }
  });
}

async function runOn(model: GuardedModel, [name, ...args]: readonly [string, ...string[]], context: Context): Promise<void> {
  const paths = new ProgramPaths(model);
  try {
    const words = [name, ...args.map((word) => paths.insertInto(word))] as const;
    throwIfAborted(context.signal);
    const running = await paths.lend((descriptors) =>
      startProgram(words, {
        env: { ...withoutCredentials(), MODEL_GUARD_MODEL: paths.model },
        descriptors,
        onSignals: () => context.passSignalsOn(),
      }),
    );
    context.exit = await running.ended;
  } finally {
    paths.remove();
  }
}

/** The paths by which a program finds a model whose files it inherits as descriptors. */
class ProgramPaths {
  readonly #files: GuardedModel['files'];
  readonly #paths: ReadonlyMap<string, string>;
  readonly #links: LinkFolder | undefined;

  constructor(model: GuardedModel) {
    this.#files = model.files;
    this.#paths = new Map([...model.files.keys()].map((name, at) => [name, `/proc/self/fd/${FIRST_DESCRIPTOR + at}`]));
    this.#links = isFolder(model) ? new LinkFolder(this.#paths) : undefined;
  }

  get model(): string {
    return this.#links?.path ?? (this.#paths.values().next().value as string);
  }

  /** Replaces `{model}` and `{file:NAME}`. @throws INVALID_ARGUMENT for a file that is not in the model */
  insertInto(word: string): string {
    return word.replace(/\{model\}|\{file:([^}]*)\}/g, (placeholder, name?: string) =>
      name === undefined ? this.model : (this.#paths.get(name) ?? this.#refuse(placeholder)),
    );
  }

  #refuse(placeholder: string): never {
    const names = [...this.#paths.keys()];
    const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
    throw usage(`${placeholder} is no file of this model, which has ${names.slice(0, MOST_NAMES).join(', ')}${more}`);
  }

  /** Gives `start` a descriptor of each file: one that reads from an offset of its own, and that no other program inherits. */
  async lend(start: (descriptors: readonly number[]) => Promise<RunningProgram>): Promise<RunningProgram> {
    const descriptors: number[] = [];
    try {
      for (const file of this.#files.values()) descriptors.push(this.#open(file));
      return await start(descriptors);
    } finally {
      for (const descriptor of descriptors) closeSync(descriptor);
    }
  }

  #open(file: GuardedFile): number {
    try {
      return withFileErrorsSync('Cannot open', file.name, () => openSync(file.path(), 'r'));
    } catch (error) {
      if (!NO_DESCRIPTORS.has(codeOf(isError(error) ? error.cause : undefined))) throw error;
      throw new ModelGuardError(
        'OUT_OF_MEMORY',
        `run needs two descriptors for each of the ${this.#files.size} files of the model, and the limit of this process (RLIMIT_NOFILE) is too low`,
        { cause: error, advice: 'Raise it: ulimit -n.' },
      );
    }
  }

  remove(): void {
    this.#links?.remove();
  }
}
