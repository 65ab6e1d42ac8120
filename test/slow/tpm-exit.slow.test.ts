/**
 * A process that exits while the TPM is at a command. If this fails, such a process crashes in OpenSSL's clean-up, or leaves objects in the
 * TPM until it has no room for any.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { startChild } from '../support/children.js';
import { machineEnv, machineImports } from '../support/machine-addon.js';
import { machineTree } from '../support/machine-tree.js';
import { Swtpm, swtpmAvailable } from '../support/swtpm.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('tpm-exit');
/** TPM 2.0 Library, part 2, section 6.5.2. */
const COMMANDS = { CreatePrimary: 0x131, Create: 0x153, Load: 0x157, StartAuthSession: 0x176, Unseal: 0x15e } as const;

/** Stands between the TPM and its user, and holds back the first command with a given code. */
class Gate {
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  port = 0;

  /** `held` is called with the function that lets the command go on. */
  async open(to: number, code: number, held: (go: () => void) => void): Promise<void> {
    let waiting = true;
    const commands = (from: Socket, server: Socket) => {
      from.on('data', (bytes: Buffer) => {
        if (!waiting || bytes.length < 10 || bytes.readUInt32BE(6) !== code) return void server.write(bytes);
        waiting = false;
        held(() => server.write(bytes));
      });
    };
    for (;;) {
      this.port = await this.#listen(0, to, commands);
      if (await this.#listen(this.port + 1, to + 1, (from, server) => from.pipe(server))) return;
      await this.close();
    }
  }

  /** Its port; 0 where that was taken. */
  async #listen(port: number, to: number, join: (from: Socket, server: Socket) => void): Promise<number> {
    const server = createServer((from) => {
      const there = connect(to, '127.0.0.1');
      for (const socket of [from, there]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
      }
      join(from, there);
      there.pipe(from);
      from.on('close', () => there.end());
    });
    try {
      await once(server.listen(port, '127.0.0.1'), 'listening');
    } catch {
      return 0;
    }
    this.#servers.push(server);
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  }
}

describe.runIf(swtpmAvailable())('a process that exits while the TPM is at a command', () => {
  const swtpm = new Swtpm();
  const gate = new Gate();
  afterAll(() => gate.close());

  const loaded = async (): Promise<string> => {
    const kinds = ['handles-transient', 'handles-loaded-session', 'handles-saved-session'];
    const answers = [];
    for (const kind of kinds) answers.push((await promisify(execFile)('tpm2_getcap', ['-T', swtpm.tcti, kind])).stdout);
    return answers.join('');
  };

  it.each(Object.entries(COMMANDS))('at %s: it exits as it said, and nothing stays in the TPM', async (name, code) => {
    await swtpm.restart();
    let held: (go: () => void) => void = () => undefined;
    const reached = new Promise<() => void>((resolve) => {
      held = resolve;
    });
    await gate.open(Number(/port=(\d+)/.exec(swtpm.tcti)?.[1]), code, (go) => held(go));
    const child = startChild('exit-during-tpm.ts', {
      args: [path.join(folder, `${name}.json`)],
      env: {
        ...machineEnv(await machineTree('sata-server').write()),
        MODEL_GUARD_TCTI: `swtpm:host=127.0.0.1,port=${gate.port}`,
        TSS2_LOG: 'all+none',
      },
      nodeOptions: ['--import', import.meta.resolve('tsx'), ...machineImports],
    });
    const go = await reached;
    child.say('leave');
    await child.waitFor('leaving');
    go();
    expect(await child.ended).toMatchObject({ code: 7, signal: null });
    await gate.close();
    expect(await loaded()).toBe('');
  });
});
