/** The command as a process of its own, from the sources of today, that can be killed and started again on the same folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'tsup';
import type { Random } from '../../../test/support/seed.js';
import { projectRoot } from '../../../test/support/shared.js';

/** Below the ports that the system gives away by itself. */
const PORTS = { from: 20_000, count: 10_000 };
/** Native, or with files of their own. */
const APART = ['@node-rs/argon2', 'better-sqlite3', 'node-gyp-build', 'pino', '@fastify/swagger-ui'];
const BANNER = "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);";

/** One file that starts fast; `remove` takes it away again. */
export async function builtCommand(): Promise<{ readonly command: string; remove(): Promise<void> }> {
  // Within the project, where packages are found, and laid out as the package of the addon, which is part of the file.
  const folder = join(projectRoot, `node_modules/.cache/model-guard-server-${process.pid}`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: '@org/model-guard', version: '0.0.0', type: 'module' }));
  await symlink(join(projectRoot, 'build'), join(folder, 'build'));
  await build({
    config: false,
    silent: true,
    entry: { main: join(projectRoot, 'server/src/start/main.ts') },
    tsconfig: join(projectRoot, 'server/tsconfig.json'),
    outDir: join(folder, 'bin'),
    format: ['esm'],
    target: 'node20',
    external: APART,
    noExternal: [/^(?!@node-rs\/argon2|better-sqlite3|node-gyp-build|pino|@fastify\/swagger-ui)/],
    banner: { js: BANNER },
    dts: false,
    clean: false,
  });
  return { command: join(folder, 'bin/main.js'), remove: () => rm(folder, { recursive: true, force: true }) };
}

/** A port that is free now, and that the system gives to no program by chance afterwards. */
export async function freePort(random: Random): Promise<number> {
  for (;;) {
    const port = PORTS.from + random.integer(PORTS.count);
    const probe = createServer().listen(port, '127.0.0.1');
    const free = await Promise.race([once(probe, 'listening').then(() => true), once(probe, 'error').then(() => false)]);
    await new Promise((closed) => probe.close(closed));
    if (free) return port;
  }
}

/** The facts that a server logs when it listens. */
export interface Listening {
  readonly url: string;
  readonly server_id: string;
  readonly signing_key: string;
}

export class ServerProcess {
  readonly #words: readonly string[];
  #child: ChildProcess | undefined;
  #ended: Promise<unknown> = Promise.resolve();
  /** Everything that it has written to stdout and stderr, over all starts. */
  readonly output: string[] = [];
  /** Milliseconds that each start took. */
  readonly starts: number[] = [];

  constructor(
    command: string,
    words: readonly string[],
    readonly environment: Readonly<Record<string, string>> = {},
  ) {
    this.#words = [command, ...words];
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when it listens. */
  async start(): Promise<Listening> {
    const before = performance.now();
    const first = this.output.length;
    const child = spawn(process.execPath, this.#words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_ENV: 'test', ...this.environment },
    });
    this.#child = child;
    this.#ended = once(child, 'close');
    const listening = new Promise<Listening>((resolve) => {
      for (const stream of [child.stdout, child.stderr])
        createInterface({ input: stream }).on('line', (line) => {
          this.output.push(line);
          if (line.includes('"listening"')) resolve(JSON.parse(line));
        });
    });
    const failed = this.#ended.then(() => {
      throw new Error(`the server ended before it listened: ${this.output.slice(first).join('\n')}`);
    });
    failed.catch(() => undefined);
    const said = await Promise.race([listening, failed]);
    this.starts.push(performance.now() - before);
    return said;
  }

  /** `kill -9`; resolves when it is gone and everything that it wrote has been read. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#ended;
  }

  /** How it ended, if it did by itself. */
  get exited(): boolean {
    return this.#child !== undefined && (this.#child.exitCode !== null || this.#child.signalCode !== null);
  }
}
