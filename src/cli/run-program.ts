/** Runs a program in the place of the command: with its streams, its signals and its exit code. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { codeOf, isModelGuardError, ModelGuardError } from '../errors.js';
import { systemCode } from '../files/files.js';
import { startMounted } from './sdk.js';

const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const;
/** A terminal sends these to the program as well. */
const OF_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT', 'SIGWINCH']);
/** The exit codes that a shell gives. */
const [NOT_EXECUTABLE, NOT_FOUND, KILLED] = [126, 127, 128];

/** Codes of a name that leads to no program. */
const MISSING: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR']);

/** A program that could not be started; `exit` is the code that a shell would give. */
export class NotStarted extends ModelGuardError {
  readonly exit: number;

  constructor(program: string, cause: unknown) {
    const isMissing = MISSING.has(codeOf(cause));
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

/** A program and its arguments. */
type Words = readonly [string, ...string[]];

/** A process on its way to the program. */
interface Launched {
  /** Rejects with what the system says (`code`) where the program cannot be executed. */
  readonly started: Promise<unknown>;
  /** Its exit code, or 128 and the number of the signal that ended it. */
  readonly ended: Promise<number>;
  kill(signal: NodeJS.Signals): unknown;
}
export type Launch = (words: Words, env: NodeJS.ProcessEnv) => Launched;

/** The program has `descriptors` as its descriptors 3, 4, … */
export const withDescriptors =
  (descriptors: readonly number[]): Launch =>
  ([program, ...args], env) => {
    const child = spawn(program, args, { stdio: ['inherit', 'inherit', 'inherit', ...descriptors], env });
    const ended = new Promise<number>((resolve) => child.once('exit', (code, signal) => resolve(exitCode(code, signal))));
    const started = once(child, 'spawn').then(() => {
      // A signal cannot be passed on to a program that has become another user. It goes on, and so does its model.
      child.on('error', () => {});
    });
    return { started, ended, kill: (signal) => child.kill(signal) };
  };

/** The program sees `files` at the folder `mountPoint`. */
export const withMount =
  (mountPoint: string, files: Parameters<typeof startMounted>[0]['files']): Launch =>
  (words, env) => {
    const environment = Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
    const { started, ended, kill } = startMounted({ mountPoint, files, words, environment });
    return { started: started.then(refuse), ended, kill };
  };

function refuse(code: string | undefined): void {
  if (code !== undefined) throw Object.assign(new Error(`execve: ${code}`), { code });
}

interface ProgramOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly launch: Launch;
  /** Called when the program's handlers of signals are there: those of the command go. Without any, a signal would end this process. */
  readonly onSignals: () => void;
}

export type RunningProgram = Pick<Launched, 'ended'>;

/** Resolves when the program has started. From then on the signals of this process are the program's. @throws NotStarted */
export async function startProgram(words: Words, { env, launch, onSignals }: ProgramOptions): Promise<RunningProgram> {
  const signals = new PassedSignals();
  onSignals();
  try {
    const launched = launch(words, env);
    signals.program = launched;
    await launched.started;
    return launched;
  } catch (cause) {
    throw isModelGuardError(cause) ? cause : new NotStarted(words[0], cause);
  }
}

const exitCode = (code: number | null, signal: NodeJS.Signals | null): number =>
  signal === null ? Number(code) : KILLED + constants.signals[signal];

/**
 * Passes signals on to a program. The handlers are there before it is, and stay when it has ended, doing nothing: a signal must not end
 * this process while it wipes the model.
 */
class PassedSignals {
  program: Launched | undefined;

  constructor() {
    for (const signal of PASSED_ON)
      process.on(signal, () => {
        if (!(OF_TERMINAL.has(signal) && isInForeground())) this.program?.kill(signal);
      });
  }
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
