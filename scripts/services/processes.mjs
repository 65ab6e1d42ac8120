// The processes behind the services: each in a log file, each ended by its own process id.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, closeSync, constants, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

const READY_MS = 120_000;
const LAST_LINES = 15;

/** Ends with this script even where it is killed, and hears nothing of a Ctrl-C in the terminal: stopping is this script's. */
const bound = (command, { signal = 'KILL', user } = {}) => [
  'setpriv',
  ...['--pdeathsig', signal],
  ...(user === undefined ? [] : ['--reuid', user, '--regid', user, '--init-groups']),
  ...['--', ...command],
];

export class Processes {
  #children = [];
  #stopped = false;

  /** A daemon in the foreground, its output in `log`; `signal` ends it. */
  start(name, command, { log, signal = 'KILL', user, env = {} }) {
    if (this.#stopped) throw new Error('stopped');
    const [program, ...args] = bound(command, { signal, user });
    const output = openSync(log, 'a', 0o600);
    const process_ = spawn(program, args, {
      stdio: ['ignore', output, output],
      detached: true,
      env: { ...process.env, ...env },
    });
    closeSync(output);
    const child = { name, log, signal, process: process_, ended: new Promise((resolve) => process_.once('close', resolve)) };
    process_.once('error', () => undefined);
    this.#children.push(child);
    return child;
  }

  /** Until `probe` succeeds: fails where the daemon ends before, or takes too long. */
  async ready(child, probe) {
    const until = Date.now() + READY_MS;
    while (!this.#stopped) {
      const { exitCode, signalCode, pid } = child.process;
      if (pid === undefined || exitCode !== null || signalCode !== null) throw told(child, 'has ended');
      if (await probe().catch(() => false)) return;
      if (Date.now() > until) throw told(child, `is not ready after ${READY_MS / 1000} s`);
      await pause(50);
    }
    throw new Error('stopped');
  }

  /** The data of these services is not needed afterwards, so they are not given time to save it. */
  async stop() {
    this.#stopped = true;
    const children = this.#children.splice(0).reverse();
    for (const child of children) child.process.kill(`SIG${child.signal}`);
    await Promise.all(children.filter((child) => child.process.pid !== undefined).map((child) => child.ended));
  }
}

const told = ({ name, log }, what) => new Error(`${name} ${what}; the end of its log:\n${lastLines(log)}`);

function lastLines(file) {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-LAST_LINES).join('\n');
  } catch {
    return '(no log)';
  }
}

/** A command that ends by itself; its standard output. */
export async function run(command, { user, env = {} } = {}) {
  const [program, ...args] = bound(command, { user });
  try {
    const done = await promisify(execFile)(program, args, { env: { ...process.env, ...env }, timeout: READY_MS });
    return done.stdout;
  } catch (error) {
    throw new Error(`${path.basename(command[0])} failed:\n${(error.stderr || error.stdout || error.message).trimEnd()}`);
  }
}

export async function freePort() {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address();
  await once(server.close(), 'close');
  return port;
}

/** The folder among `folders`, else of PATH, that has this program. */
export function folderOf(program, folders = []) {
  return [...folders, ...(process.env.PATH ?? '').split(path.delimiter)].find((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
