/** Runs a program in the place of the command: with its streams, its signals and its exit code. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { codeOf, ModelGuardError } from '../errors.js';
import { systemCode } from '../files/files.js';

const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const;
/** A terminal sends these to the program as well. */
const OF_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT', 'SIGWINCH']);
/** The exit codes that a shell gives. */
const [NOT_EXECUTABLE, NOT_FOUND, KILLED] = [126, 127, 128];

/** A program that could not be started; `exit` is the code that a shell would give. */
export class NotStarted extends ModelGuardError {
  readonly exit: number;

  constructor(program: string, cause: unknown) {
    const isMissing = codeOf(cause) === 'ENOENT';
    super(
      systemCode({ code: codeOf(cause) }),
      `${program} ${isMissing ? 'cannot be found' : `cannot be executed (${codeOf(cause)})`}`,
      {
        cause,
        advice: isMissing
          ? 'Check its name and PATH, and of a script its first line.'
          : 'Name a program that this user may execute.',
      },
    );
    this.exit = isMissing ? NOT_FOUND : NOT_EXECUTABLE;
  }
}

interface ProgramOptions {
  readonly env: NodeJS.ProcessEnv;
  /** The program has them as descriptors 3, 4, … */
  readonly descriptors: readonly number[];
}

export interface RunningProgram {
  /** Its exit code, or 128 and the number of the signal that ended it. */
  readonly ended: Promise<number>;
}

/** Resolves when the program has started. @throws NotStarted */
export async function startProgram(
  [program, ...args]: readonly [string, ...string[]],
  { env, descriptors }: ProgramOptions,
): Promise<RunningProgram> {
  const child = spawn(program, args, { stdio: ['inherit', 'inherit', 'inherit', ...descriptors], env });
  const stop = passSignalsTo(child);
  const ended = once(child, 'exit').then(([code, signal]: (number | NodeJS.Signals | null)[]) =>
    typeof signal === 'string' ? KILLED + constants.signals[signal as NodeJS.Signals] : Number(code),
  );
  ended.then(stop, stop);
  await once(child, 'spawn').catch((cause: unknown) => {
    throw new NotStarted(program, cause);
  });
  return { ended };
}

/** @returns A function that ends it. */
function passSignalsTo(child: ChildProcess): () => void {
  const pass = (signal: NodeJS.Signals): void => {
    if (!(OF_TERMINAL.has(signal) && isInForeground())) child.kill(signal);
  };
  for (const signal of PASSED_ON) process.on(signal, pass);
  return () => {
    for (const signal of PASSED_ON) process.off(signal, pass);
  };
}

/** Whether a terminal sends its signals to this group of processes, which the program belongs to (proc(5), fields 5 to 8 of stat). */
function isInForeground(): boolean {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const [group, , terminal, foreground] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(2);
  return terminal !== '0' && foreground === group;
}
