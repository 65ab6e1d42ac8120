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

/** The command as `"$@"` of a script. */
const inShell = (script: string, ...args: string[]) =>
  spawnSync('bash', ['-c', script, 'bash', process.execPath, ...COMMAND, ...args], { cwd: projectRoot });
const lastLine = ({ stderr }: { stderr: Buffer }): string | undefined => String(stderr).trimEnd().split('\n').at(-1);
const OPEN = ['--identity', at('master.key'), '--unsigned', 'accept'];
/** Descriptor 3 is a pipe whose reader has left. */
const GONE = 'exec 3> >(:); wait $!;';

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

  it('says nothing when its reader leaves early, and exits with 141', () => {
    const shown = inShell('set -o pipefail; "$@" | head -c 10 >/dev/null', 'decrypt', at('net.mguard'), '-', ...OPEN);
    expect([shown.status, lastLine(shown)]).toEqual([141, 'Plaintext leaves protected memory, because OUT asks for it: stdout']);
    const unread = inShell(`${GONE} "$@" >&3`, 'inspect', at('net.mguard'));
    expect([unread.status, String(unread.stderr)]).toEqual([141, '']);
  });

  it('does its work where no one reads its remarks', () => {
    const done = inShell(`${GONE} "$@" 2>&3`, 'decrypt', at('net.mguard'), at('unremarked'), ...OPEN);
    expect([done.status, existsSync(at('unremarked'))]).toEqual([0, true]);
  });

  it.each([
    ['decrypt', ['decrypt', at('net.mguard'), '-', ...OPEN]],
    ['a text', ['inspect', at('net.mguard')]],
  ])('says that there is no space behind standard output: %s', (_, args) => {
    const full = inShell('"$@" > /dev/full', ...args);
    expect(full.status).toBe(6);
    expect(lastLine(full)).toBe(
      'model-guard: Cannot write to standard output (ENOSPC). The output is not complete: throw it away, make room where it goes, and run the command again. [NO_SPACE]',
    );
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('on %s stops with %i and leaves nothing', async (signal, code) => {
    writeFileSync(at('large.bin'), '');
    truncateSync(at('large.bin'), 4 * 1024 ** 3);
    const store = at(`store-${signal}`);
    mkdirSync(store);
    const args = ['protect', at('large.bin'), 'large@1', '--threads', '1'];
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
