/** Wrong usage, and help. If these fail, a typing mistake does something else, or nothing, in silence. */
import { describe, expect, it } from 'vitest';
import { modelGuard, succeed } from '../support/cli.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('cli-usage');
const LOAD = ['load', '--store', folder, '--hardware', '--unsigned', 'accept', '--out', '-'];

describe('wrong usage', () => {
  it.each([
    ['no command', [], 2, /Usage: model-guard/],
    ['an unknown command', ['frobnicate'], 2, /unknown command/],
    ['an unknown option', ['inspect', 'x', '--colour'], 2, /unknown option/],
    ['a flag that is misspelt, before the one that is missing then', ['protect', 'x', '--nam', 'n'], 2, /'--nam'\n.*--name\?/],
    ['a flag of the program after a command', ['protect', 'x', '--name', 'n', '--version', '9'], 2, /unknown option '--version'/],
    ['a flag of the program after a group', ['models', '--version'], 2, /unknown option '--version'/],
    ['a flag of another command', ['models', 'show', 'n@1', '--out', 'x'], 2, /unknown option '--out'/],
    ['a version after a colon', [...LOAD, 'n:3'], 2, /"n:3" is no reference; a version follows '@': "n@3"\./],
    ['a missing option', ['protect', 'x', '--name', 'n'], 2, /--model-version/],
    ['no recipient', ['protect', 'x', '--name', 'n', '--model-version', '1', '--store', '/nowhere'], 2, /--recipient/],
    ['no store', ['load', 'n@1', '--identity', 'x', '--out', '-', '--unsigned', 'accept'], 2, /--store/],
    ['half a pair of stores', ['load', 'n@1', '--small-store', 'x', '--out', '-', '--unsigned', 'accept'], 2, /--big-store/],
    ['another word than accept', ['decrypt', 'a', 'b', '--unsigned', 'yes'], 2, /accept/],
    ['a key type that is none', ['keygen', '--type', 'gold', '--out', 'x'], 2, /gold/],
    ['a file that is missing', ['inspect', '/nowhere/x'], 6, /\[NOT_FOUND\]/],
    ['no container', ['inspect', import.meta.filename], 3, /\[NOT_A_CONTAINER\]/],
  ])('%s', async (_, args, code, message) => {
    const result = await modelGuard(...args);
    expect(result).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(message) });
  });

  it('with --json, errors are JSON too', async () => {
    const { stderr } = await modelGuard('inspect', '/nowhere/x', '--json');
    expect(JSON.parse(stderr)).toEqual({ error: { code: 'NOT_FOUND', message: expect.stringContaining('/nowhere/x') } });
  });

  it.each([
    ['an unknown flag', ['inspect', 'x', '--colour', '--json'], "unknown option '--colour'"],
    ['a missing flag', ['keygen', '--json'], "required option '--out <FILE>' not specified"],
    ['a missing argument', ['inspect', '--json'], "missing required argument 'FILE'"],
  ])('with --json, %s is JSON alone', async (_, args, message) => {
    const { code, stdout, stderr } = await modelGuard(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(JSON.parse(stderr)).toEqual({ error: { code: 'INVALID_ARGUMENT', message } });
  });
});

describe('help', () => {
  const commands = [
    'keygen',
    'protect',
    'load',
    'encrypt',
    'decrypt',
    'split',
    'merge',
    'inspect',
    'verify',
    'rewrap',
    'rekey',
    'fingerprint',
    'migrate',
  ];

  it('of every command shows an example', async () => {
    for (const command of commands) {
      const { stdout } = await succeed(command, '--help');
      expect(stdout).toMatch(new RegExp(`Example:\\n {2}model-guard ${command} `));
    }
  });

  it('names every command and every exit code', async () => {
    const { stdout } = await succeed('--help');
    for (const command of commands) expect(stdout).toContain(`  ${command} `);
    expect(stdout).toContain('Exit codes:');
    expect((await succeed('--version')).stdout).toMatch(/^\d+\.\d+\.\d+/);
  });
});
