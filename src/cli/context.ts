/** What every command is given: where to write, and how to be stopped. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageRoot } from '../native/addon.js';
import type { RunOptions } from '../native/work.js';
import { numberOf } from './flags.js';
import { plainJson, plainLines } from './output.js';
import { ProgressDisplay } from './progress.js';
import { Stdout } from './stdout.js';

export interface RunFlags {
  readonly threads?: string;
}

/** Of the process: it listens once. */
const stdout = new Stdout(process.stdout);

export class Context {
  readonly stdout = stdout;
  readonly #interruption = new AbortController();
  readonly #progress = new ProgressDisplay(process.stderr);
  /** Paths that the person did not give, by what messages call them. */
  readonly #called = new Map<string, string>();
  #exit: number | undefined;
  #stdoutIsTaken = false;

  /** The first signal cancels; the second one ends the process, as it would without us. */
  watchSignals(): void {
    for (const [name, exit] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const)
      process.once(name, () => {
        this.#exit = exit;
        this.#interruption.abort(new Error(name));
      });
  }

  /** The exit code that a signal asks for. */
  get interrupted(): number | undefined {
    return this.#exit;
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

  /** The result, for the reader of stdout: a person, or with `json` a machine. Where a file is written there, it goes to stderr. */
  print(json: boolean | undefined, value: unknown, text: string): void {
    const line = `${this.#named(json ? plainJson(value) : plainLines(text))}\n`;
    if (this.#stdoutIsTaken) process.stderr.write(line);
    else this.stdout.write(line);
  }

  /** A remark for the person in front of the terminal. */
  note(text: string): void {
    this.#progress.stop();
    process.stderr.write(`${this.#named(plainLines(text))}\n`);
  }

  /** Standard output is for a file alone. */
  leaveStdout(): void {
    this.#stdoutIsTaken = true;
  }

  /** Messages say `name` in the place of `path`. */
  callInMessages(path: string, name: string): void {
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

export function packageVersion(): string {
  const manifest = join(packageRoot(), 'package.json');
  return (createRequire(manifest)(manifest) as { version: string }).version;
}
