/**
 * `-` in the place of a file. If this fails, a pipeline that worked for one command breaks at the next, a key or a plaintext model comes to
 * lie in a temporary file, or a container is mixed with the text of a result.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { succeed } from '../support/cli.js';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('standard-streams');
const at = (name: string): string => path.join(base, name);
const scratch = at('scratch');
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const COMMAND = [process.execPath, '--import', tsx, path.join(projectRoot, 'src/cli/main.ts')];
const plain = Buffer.alloc(1_500_000, 'a plaintext model');

/** A script in which `mg` is the command; its temporary files go to a folder of the test. */
function inShell(script: string) {
  const { status, stdout, stderr } = spawnSync(
    'bash',
    ['-c', `set -o pipefail; mg() { ${COMMAND.join(' ')} "$@"; }\ncd ${base}\n${script}`],
    {
      env: { ...process.env, TMPDIR: scratch },
      maxBuffer: 64 * 1024 * 1024,
      cwd: projectRoot,
    },
  );
  return { status, stdout, stderr: String(stderr) };
}
const left = (): readonly string[] => readdirSync(scratch).filter((name) => name.startsWith('model-guard'));
const OPEN = '--identity master.key --unsigned accept';

beforeAll(async () => {
  mkdirSync(scratch);
  writeFileSync(at('net.onnx'), plain);
  await succeed('keygen', '--out', at('master.key'));
  await succeed('keygen', '--type', 'signing', '--out', at('signing.key'));
  await succeed('encrypt', at('net.onnx'), at('net.mguard'), '--recipient', at('master.key'));
  await succeed('split', at('net.mguard'), '--small', at('net.small'), '--big', at('net.big'));
});

describe('standard input', () => {
  it('is a model that is encrypted, from a pipe and from a file, and goes through a whole pipeline', () => {
    const piped = inShell(`cat net.onnx | mg encrypt - - --recipient master.key | mg decrypt - - ${OPEN} | cmp - net.onnx`);
    expect(piped).toMatchObject({ status: 0, stdout: Buffer.alloc(0) });
    const redirected = inShell(
      `mg encrypt - from-file.mguard --recipient master.key < net.onnx && mg decrypt from-file.mguard - ${OPEN} | cmp - net.onnx`,
    );
    expect(redirected.status, redirected.stderr).toBe(0);
    expect(left(), 'something was left').toEqual([]);
  });

  it('is what is left of a file whose beginning was read already', () => {
    const shown = inShell(
      `{ dd bs=1 count=17 of=/dev/null status=none; mg encrypt - - --recipient master.key; } < net.onnx | mg decrypt - - ${OPEN} | cmp - <(tail -c +18 net.onnx)`,
    );
    expect(shown.status, shown.stderr).toBe(0);
  });

  it('is a model in memory alone: no file holds it', () => {
    const shown = inShell(
      `cat net.onnx | strace -f -qq -e trace=openat,creat -o trace.txt ${COMMAND.join(' ')} encrypt - out.mguard --recipient master.key`,
    );
    expect(shown.status, shown.stderr).toBe(0);
    const created = readFileSync(at('trace.txt'), 'latin1')
      .split('\n')
      .filter((line) => line.includes('O_CREAT') && line.includes(base));
    expect(created.length).toBeGreaterThan(0);
    expect(
      created.every((line) => /\.tmp-[0-9a-f]{24}/.test(line)),
      created.join('\n'),
    ).toBe(true);
  });

  it('is published like a file', () => {
    const shown = inShell(
      `cat net.onnx | mg protect - net@1 --recipient master.key --store store && mg load net@1 --store store ${OPEN} --out - | cmp - net.onnx`,
    );
    expect(shown.status, shown.stderr).toBe(0);
    const staged = inShell('cat net.onnx | mg protect - net@2 --recipient master.key --store store --resume stage');
    expect([staged.status, staged.stderr]).toEqual([
      2,
      'model-guard: --resume stage: wants a source on the disk, not bytes. See `model-guard protect --help`. [INVALID_ARGUMENT]\n',
    ]);
  });

  it.each([
    ['a key', `cat master.key | mg decrypt net.mguard - --identity - --unsigned accept | cmp - net.onnx`],
    ['a signing key', `cat signing.key | mg encrypt net.onnx signed.mguard --recipient master.key --sign -`],
    ['a passphrase', `printf 'a long passphrase of many words' | mg encrypt net.onnx worded.mguard --passphrase-file -`],
    ['a key to look at', 'cat master.key | mg key show - | grep -q master'],
    ['a small part to look at', 'cat net.small | mg inspect - | grep -q net'],
    ['a small part to join', 'cat net.small | mg merge - --small - --big net.big | cmp - net.mguard'],
    ['a container to cut', 'cat net.mguard | mg split - --small - --big cut.big | cmp - net.small && cmp cut.big net.big'],
    [
      'a small part for another recipient',
      `cat net.small | mg rewrap - - --identity master.key --recipient master.key | mg inspect - | grep -q net`,
    ],
  ])('is %s', (_, script) => {
    const shown = inShell(script);
    expect(shown.status, shown.stderr).toBe(0);
    expect(left(), 'something was left').toEqual([]);
  });

  it('stands for one file only', () => {
    expect(inShell('mg decrypt - out --identity - --unsigned accept < net.mguard')).toMatchObject({
      status: 2,
      stderr:
        'model-guard: Standard input can be read once, and - stands for --identity and for IN. See `model-guard decrypt --help`. [INVALID_ARGUMENT]\n',
    });
  });

  it('is called so in messages', () => {
    const shown = inShell('echo nothing | mg inspect -');
    expect(shown.status).toBe(3);
    expect(shown.stderr).not.toContain(scratch);
    expect(left(), 'something was left').toEqual([]);
  });
});

describe('standard output', () => {
  it('holds the file alone, and the result goes to stderr', () => {
    const shown = inShell('mg encrypt net.onnx - --recipient master.key --json');
    expect(shown.status, shown.stderr).toBe(0);
    expect(shown.stdout.subarray(0, 8).equals(readFileSync(at('net.mguard')).subarray(0, 8)), 'no container').toBe(true);
    expect(JSON.parse(shown.stderr.trim().split('\n').at(-1) ?? '')).toMatchObject({
      file: 'standard output',
      ref: 'net.onnx@0',
    });
  });

  it('takes a key that a file of it would hold', () => {
    const shown = inShell('umask 077; mg keygen --type signing --out - > made.key && mg key show made.key');
    expect(shown.status, shown.stderr).toBe(0);
    expect(readFileSync(at('made.key'), 'latin1')).toMatch(/^model-guard-key v1 signing plain\n\S+\n$/);
    expect(statSync(at('made.key')).mode & 0o777).toBe(0o600);
    expect(inShell('mg keygen --out - | mg key show - | grep -q master').status).toBe(0);
  });

  it('takes a machine file, as far as this machine has one', () => {
    const filed = inShell('mg fingerprint --no-require --out machine.json');
    const shown = inShell('mg fingerprint --no-require --out -');
    expect([shown.status, shown.stdout.length > 0]).toEqual([filed.status, filed.status === 0]);
  });

  it('is not written to where it is a terminal, unless that is asked for', () => {
    const onTerminal = (command: string) => inShell(`script -qec "${COMMAND.join(' ')} ${command}" /dev/null < /dev/null`);
    const refused = onTerminal(`decrypt net.mguard - ${OPEN}`);
    expect(refused.status).toBe(2);
    expect(String(refused.stdout)).toContain(
      'OUT -: standard output is a terminal, and this is not text: redirect it, or add --to-terminal.',
    );
    expect(String(refused.stdout)).not.toContain('a plaintext model');
    const shown = onTerminal(`decrypt net.mguard - ${OPEN} --to-terminal`);
    expect([shown.status, String(shown.stdout).includes('a plaintext model')]).toEqual([0, true]);
    expect(onTerminal(`encrypt net.onnx - --recipient master.key`).status).toBe(2);
  });
});
