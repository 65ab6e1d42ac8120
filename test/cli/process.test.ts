/** The command as a process of its own: exit codes, pipes, signals. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('cli-process');
const at = (name: string): string => path.join(base, name);
const COMMAND = ['--import', 'tsx', path.join(projectRoot, 'src/cli/main.ts')];

const modelGuard = (...args: string[]) =>
  spawnSync(process.execPath, [...COMMAND, ...args], { cwd: projectRoot, maxBuffer: 64 * 1024 * 1024 });

describe('the process', () => {
  it('exits as documented and writes plaintext to a pipe', () => {
    const plain = Buffer.alloc(3_000_000, 'model');
    writeFileSync(at('net.onnx'), plain);
    expect(modelGuard('keygen', '--out', at('master.key')).status).toBe(0);
    expect(modelGuard('encrypt', at('net.onnx'), at('net.mguard'), '--recipient', at('master.key')).status).toBe(0);
    const opened = modelGuard('decrypt', at('net.mguard'), '-', '--identity', at('master.key'), '--unsigned', 'accept');
    expect(opened.status).toBe(0);
    expect(opened.stdout.equals(plain)).toBe(true);
    const refused = modelGuard('decrypt', at('net.mguard'), '-', '--identity', at('master.key'));
    expect([refused.status, refused.stdout.length]).toEqual([2, 0]);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('on %s stops with %i and leaves nothing', async (signal, code) => {
    writeFileSync(at('large.bin'), '');
    truncateSync(at('large.bin'), 4 * 1024 ** 3);
    const store = at(`store-${signal}`);
    mkdirSync(store);
    const args = ['protect', at('large.bin'), '--name', 'large', '--model-version', '1', '--threads', '1'];
    const child = spawn(process.execPath, [...COMMAND, ...args, '--recipient', at('master.key'), '--store', store], {
      cwd: projectRoot,
    });
    // The first line of progress: the engine is at work.
    await once(child.stderr, 'data');
    child.kill(signal);
    const [status] = (await once(child, 'close')) as [number | null];
    expect(status).toBe(code);
    expect(readdirSync(path.join(store, 'big'))).toEqual([]);
    expect(existsSync(path.join(store, 'small/large/1'))).toBe(false);
  });
});
