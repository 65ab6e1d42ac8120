/** Gives every command its outputs, its progress display and its cancellation. */
import type { RunOptions } from '../index.js';
import { numberOf, usage } from './flags/common.js';
import { ProgressDisplay } from './progress.js';
import { Stdout } from './stdout.js';
import { plainJson, plainLines } from './text.js';

export interface RunFlags {
  readonly threads?: string;
}

const INTERRUPTED = { SIGINT: 130, SIGTERM: 143 } as const;

/** One for the process: it listens for errors of the stream. */
const stdout = new Stdout(process.stdout);

export class Context {
  readonly stdout = stdout;
  readonly #interruption = new AbortController();
  readonly #progress = new ProgressDisplay(process.stderr);
  /** Temporary paths, with the names that messages use instead. */
  readonly #called = new Map<string, string>();
  #interrupted: number | undefined;
  #stdoutIsTaken = false;

  readonly #interrupt = (name: keyof typeof INTERRUPTED): void => {
    this.#interrupted = INTERRUPTED[name];
    this.#interruption.abort(new Error(name));
  };
  /** The exit code of a command that succeeds: not 0 only where it ran a program that ended with another. */
  exit = 0;

  readonly #isSeparated: boolean;

  /** @param args All words of the command line. */
  constructor(args: readonly string[]) {
    this.#isSeparated = args.includes('--');
  }

  /** Without -- in front of a program, its options were taken for options of this command. */
  checkSeparator(): void {
    if (!this.#isSeparated) throw usage('Put -- before the program, so that its options are its own');
  }

  /** The first signal cancels; the second one ends the process. */
  watchSignals(): void {
    process.once('SIGINT', this.#interrupt).once('SIGTERM', this.#interrupt);
  }

  /** From now on signals are for the program that the command runs. */
  passSignalsOn(): void {
    process.off('SIGINT', this.#interrupt).off('SIGTERM', this.#interrupt);
  }

  /** The exit code of the signal that came, if one did. */
  get interrupted(): number | undefined {
    return this.#interrupted;
  }

  get signal(): AbortSignal {
    return this.#interruption.signal;
  }

  run({ threads }: RunFlags = {}): RunOptions {
    return {
      signal: this.signal,
      onProgress: this.#progress.update,
      ...(threads !== undefined && { threads: numberOf(threads) }),
    };
  }

  /** Writes the result to stdout, as text or as JSON; to stderr where stdout takes a file. */
  print(json: boolean | undefined, value: unknown, text: string): void {
    const line = `${this.#named(json ? plainJson(value) : plainLines(text))}\n`;
    if (this.#stdoutIsTaken) process.stderr.write(line);
    else this.stdout.write(line);
  }

  /** Writes a remark to stderr. */
  note(text: string): void {
    this.#progress.stop();
    process.stderr.write(`${this.#named(plainLines(text))}\n`);
  }

  /** Keeps standard output for a file. */
  reserveStdout(): void {
    this.#stdoutIsTaken = true;
  }

  /** Messages contain `name` instead of `path`. */
  nameInMessages(path: string, name: string): void {
    this.#called.set(path, name);
  }

  #named(text: string): string {
    let named = text;
    for (const [path, name] of this.#called) named = named.replaceAll(path, name);
    return named;
  }

  close(): void {
    this.#progress.stop();
  }
}
