/** A software TPM (swtpm) of a test file's own, on free loopback ports, with its state in a folder of its own. */
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, watch } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { Child } from './children.js';
import { atEndOfFile } from './cleanup.js';
import { temporaryFolder } from './temp.js';

/** Whether this machine has swtpm and tpm2-tools, and with them the TPM library that model-guard loads. */
export function swtpmAvailable(): boolean {
  try {
    for (const program of ['swtpm', 'tpm2_pcrextend']) execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Ends with the tests of the file, if not by `stop`. */
export class Swtpm {
  readonly #folder = temporaryFolder('swtpm');
  #child: Child | undefined;
  #port = 0;

  constructor() {
    atEndOfFile(() => this.stop());
  }

  async start(): Promise<void> {
    await this.#start(this.#port === 0 ? [] : [this.#port]);
  }

  /** For MODEL_GUARD_TCTI; another after a `restart` that found the ports taken. */
  get tcti(): string {
    return `swtpm:host=127.0.0.1,port=${this.#port}`;
  }

  /** The same TPM after a reboot: PCRs are back at their start. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async stop(): Promise<void> {
    await this.#child?.kill('SIGTERM');
    this.#child = undefined;
  }

  /** Extends a PCR of the SHA-256 bank with a fixed digest, as a change of the boot state would. */
  async extendPcr(index: number): Promise<void> {
    await promisify(execFile)('tpm2_pcrextend', ['-T', this.tcti, `${index}:sha256=${'a'.repeat(64)}`]);
  }

  /** Another process may take a port before swtpm does: then with other ports. */
  async #start(ports: readonly number[]): Promise<void> {
    for (let attempt = 0; attempt < 10; attempt++) {
      this.#port = ports[attempt] ?? (await freePairOfPorts());
      if (await this.#startAt(this.#port)) return;
    }
    throw new Error('swtpm does not start');
  }

  /** Waits until swtpm has written its process id, which it does when its sockets are open, or has ended. */
  async #startAt(port: number): Promise<boolean> {
    const state = path.join(this.#folder, 'state');
    const ready = path.join(this.#folder, 'ready');
    mkdirSync(state, { recursive: true });
    rmSync(ready, { force: true });
    const watcher = watch(this.#folder);
    try {
      const child = new Child([
        ...['swtpm', 'socket', '--tpm2', '--tpmstate', `dir=${state}`, '--flags', 'not-need-init,startup-clear'],
        ...['--server', `type=tcp,port=${port}`, '--ctrl', `type=tcp,port=${port + 1}`, '--pid', `file=${ready}`],
      ]);
      const ended = child.ended.then(() => false);
      for (;;) {
        const changed = once(watcher, 'change').then(() => true);
        if (existsSync(ready)) {
          this.#child = child;
          return true;
        }
        if (!(await Promise.race([changed, ended]))) return false;
      }
    } finally {
      watcher.close();
    }
  }
}

/** The TPM library takes the port after the TPM's for swtpm's control channel. */
async function freePairOfPorts(): Promise<number> {
  for (;;) {
    const first = await portThatIsFree(0);
    if (first !== undefined && first < 65_535 && (await portThatIsFree(first + 1)) !== undefined) return first;
  }
}

async function portThatIsFree(wanted: number): Promise<number | undefined> {
  const server = createServer();
  try {
    await once(server.listen(wanted, '127.0.0.1'), 'listening');
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : undefined;
  } catch {
    return undefined;
  } finally {
    server.close();
  }
}
