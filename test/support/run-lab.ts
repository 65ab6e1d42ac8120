/** `run` with models of its own, and what holds of it in every mode. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Child } from './children.js';
import { succeed } from './cli.js';
import { type CliModels, makeModels } from './cli-models.js';
import { projectRoot } from './shared.js';

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
/** The command, from the sources. */
export const COMMAND: readonly string[] = [process.execPath, '--import', tsx, path.join(projectRoot, 'src/cli/main.ts')];

type Words = readonly string[];

/** The models `net@1`, one file, and `folder@1`. */
export class RunLab {
  readonly models: CliModels;
  /** The folder for temporary files of the command. */
  readonly temporary: string;
  readonly #flags: Words;

  private constructor(models: CliModels, temporary: string, flags: Words) {
    this.models = models;
    this.temporary = temporary;
    this.#flags = flags;
  }

  /** @param flags Flags of `run` beside those that open the model. */
  static async make(name: string, flags: Words = []): Promise<RunLab> {
    const models = await makeModels(name);
    const { at, device, store } = models;
    const temporary = at('temporary');
    mkdirSync(temporary);
    await succeed('protect', at('net.onnx'), 'net@1', ...store, '--recipient', device);
    await succeed('protect', at('net'), 'folder@1', ...store, '--recipient', device);
    return new RunLab(models, temporary, flags);
  }

  get environment() {
    return { TMPDIR: this.temporary, XDG_RUNTIME_DIR: '', MODEL_GUARD_PASSWORD: 'of an account' };
  }

  /** The words of the command up to the program's. */
  words(ref: string): string[] {
    return ['run', ref, ...this.models.store, '--unsigned', 'accept', '--identity', this.models.at('device.key'), ...this.#flags];
  }

  run(ref: string, ...program: Words) {
    return this.runAfter([], ref, ...program);
  }

  /** Runs the command by another program, `prefix`. */
  runAfter(prefix: Words, ref: string, ...program: Words) {
    const [first = '', ...args] = [...prefix, ...COMMAND, ...this.words(ref), '--', ...program];
    const { status, stdout, stderr } = spawnSync(first, args, {
      cwd: projectRoot,
      env: { ...process.env, ...this.environment },
      input: 'from stdin',
      maxBuffer: 2 ** 26,
    });
    return { status, stdout, stderr: String(stderr) };
  }

  start(ref: string, ...program: Words): Child {
    return new Child([...COMMAND, ...this.words(ref), '--', ...program], { env: this.environment });
  }

  /** Of the command; tsx has folders of its own there. */
  folders(): readonly string[] {
    return readdirSync(this.temporary).filter((name) => name.startsWith('model-guard'));
  }
}

const TOLD = ['INT', 'TERM', 'HUP', 'QUIT', 'USR1', 'USR2', 'WINCH'] as const;
const TELL = `import signal, sys
for name in sys.argv[1:]: signal.signal(getattr(signal, 'SIG' + name), lambda number, _: print(signal.Signals(number).name[3:], flush=True))
print('ready', flush=True)
sys.exit(int(sys.stdin.readline()))`;

/** The program stands in the place of the command. `lab` is called in tests alone. */
export function standsInItsPlace(lab: () => RunLab): void {
  describe('the exit code', () => {
    it.each([
      ["is the program's", ['sh', '-c', 'exit 7'], 7, /^/],
      ['is 128 and the signal that ended it', ['sh', '-c', 'kill -KILL $$'], 128 + constants.signals.SIGKILL, /^/],
      [
        'is 127 for a program that is not there',
        ['no-such', '--json'],
        127,
        /^model-guard: no-such cannot be found\. .* \[NOT_FOUND\]$/m,
      ],
      ['is 127 for one below a file', ['/etc/passwd/program'], 127, /cannot be found\. .* \[IO_FAILED\]$/m],
      ['is 126 for one that cannot be executed', ['/etc/passwd'], 126, /executed \(EACCES\)\. .* \[PERMISSION_DENIED\]$/m],
      [
        'is 2 for a file that is not in the model',
        ['cat', '{file:c}'],
        2,
        /^model-guard: \{file:c\} is no file of this model, which has net\.onnx\./m,
      ],
    ])('%s', (_, program, status, message) => {
      expect(lab().run('net@1', ...program)).toMatchObject({ status, stderr: expect.stringMatching(message) });
      expect(lab().folders()).toEqual([]);
    });
  });

  describe('a signal', () => {
    it('reaches the program, which decides', async () => {
      const child = lab().start('net@1', 'python3', '-c', TELL, ...TOLD);
      await child.waitFor('ready');
      for (const name of TOLD) {
        process.kill(child.pid, `SIG${name}`);
        expect(await child.line()).toBe(name);
      }
      child.say('9');
      expect(await child.ended).toMatchObject({ code: 9, signal: null });
    });

    it('that ends the program ends the command, as 128 and the signal', async () => {
      const child = lab().start('net@1', 'sh', '-c', 'echo ready; read word');
      await child.waitFor('ready');
      process.kill(child.pid, 'SIGTERM');
      expect(await child.ended).toMatchObject({ code: 143, signal: null });
    });

    it('that kills the program leaves no folder', async () => {
      const child = lab().start('folder@1', 'sh', '-c', 'echo "ready $$"; read word');
      process.kill(Number(await child.waitFor('ready')), 'SIGKILL');
      expect(await child.ended).toMatchObject({ code: 137 });
      expect(lab().folders()).toEqual([]);
    });
  });
}
