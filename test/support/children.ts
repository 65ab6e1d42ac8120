/** Child processes that talk in lines. Nothing here waits for time to pass: each side waits for a line or for an end. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { atEndOfFile } from './cleanup.js';
import { projectRoot } from './shared.js';

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}
export interface ChildOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly nodeOptions?: readonly string[];
  /** A program that starts the child in its place, such as a shell that sets a limit first; it must exec. */
  readonly prefix?: readonly string[];
}

/** Killed at the end of the test file where it still runs. */
export class Child {
  readonly ended: Promise<Ending>;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #stderr = '';

  constructor(command: readonly string[], options: ChildOptions = {}) {
    const [program = process.execPath, ...args] = command;
    this.#process = spawn(program, args, {
      cwd: options.cwd ?? projectRoot,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.#process.stdin.on('error', () => undefined); // it may have been killed before it read
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
    this.ended = once(this.#process, 'close').then(
      ([code, signal]: unknown[]): Ending => ({ code: toNumber(code), signal: toSignal(signal), stderr: this.#stderr }),
    );
    // One that did not start has told its test so.
    atEndOfFile(() => this.kill().catch(() => undefined));
  }

  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new Error('the child did not start');
    return pid;
  }

  /** The next line that it writes; its end is an error that carries what it wrote to stderr. */
  async line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done !== true) return next.value;
    const { code, signal, stderr } = await this.ended;
    throw new Error(`the child ended early (${signal ?? code}): ${stderr}`);
  }

  /** Lines until one that begins with `word`; returns the rest of that line. */
  async waitFor(word: string): Promise<string> {
    for (;;) {
      const line = await this.line();
      if (line === word || line.startsWith(`${word} `)) return line.slice(word.length + 1);
    }
  }

  /** Waits until stderr, from its beginning, has something that fits. */
  async stderrUntil(pattern: RegExp): Promise<void> {
    const { stderr } = this.#process;
    while (!pattern.test(this.#stderr)) {
      if (stderr.readableEnded) throw new Error(`ended without ${pattern}: ${this.#stderr}`);
      await new Promise<void>((resolve) => {
        const heard = (): void => {
          stderr.off('data', heard).off('end', heard);
          resolve();
        };
        stderr.on('data', heard).on('end', heard);
      });
    }
  }

  say(line: string): void {
    this.#process.stdin.write(`${line}\n`);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Ending> {
    this.#process.kill(signal);
    return this.ended;
  }
}

const toNumber = (value: unknown): number | null => (typeof value === 'number' ? value : null);
const isSignal = (value: unknown): value is NodeJS.Signals => typeof value === 'string' && value.startsWith('SIG');
const toSignal = (value: unknown): NodeJS.Signals | null => (isSignal(value) ? value : null);

// By its path, so that a child may run in any folder.
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

/** A TypeScript file of test/children as a process of its own. */
export function startChild(file: string, options: ChildOptions = {}): Child {
  const entry = path.join(projectRoot, 'test/children', file);
  const node = [process.execPath, ...(options.nodeOptions ?? []), '--import', tsx, entry, ...(options.args ?? [])];
  return new Child([...(options.prefix ?? []), ...node], options);
}
