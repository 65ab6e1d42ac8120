/** Wrong usage, and help. If these fail, a typing mistake does something else, or nothing, in silence. */
import { describe, expect, it } from 'vitest';
import { modelGuard, succeed } from '../support/cli.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('cli-usage');
const ONE = ['protect', 'net.onnx', 'net@1'];
const TO = ['--recipient', 'master.key', '--store', 'store'];
/** Flags of earlier releases, in commands that took them, and the words that replace them. */
const FORMER = ['--name', '--model-version', '--version'].flatMap((flag) =>
  (
    [
      [['protect', 'net.onnx'], 'protect PATH NAME@VERSION'],
      [['publish', 'net.onnx'], 'publish PATH NAME@VERSION'],
      [['encrypt', 'net.onnx', 'net.mguard'], 'encrypt IN OUT --ref NAME@VERSION'],
      [['migrate', 'net.enc'], 'migrate ARTIFACT --ref NAME@VERSION'],
    ] as const
  ).map(([words, message]) => [flag, words, message] as const),
);
const LOAD = ['load', '--store', folder, '--hardware', '--unsigned', 'accept', '--out', '-'];

describe('wrong usage', () => {
  it.each([
    ['no command', [], 2, /Usage: model-guard/],
    ['an unknown command', ['frobnicate'], 2, /unknown command/],
    ['an unknown option', ['inspect', 'x', '--colour'], 2, /unknown option/],
    ['a flag that is misspelt, before the one that is missing then', ['protect', 'x', '--sgn', 'n'], 2, /'--sgn'\n.*--sign\?/],
    ['a flag of the program after a command', ['protect', 'x', 'n@1', '--version', '9'], 2, /unknown option '--version'/],
    ['a flag of the program after a group', ['models', '--version'], 2, /unknown option '--version'/],
    ['a flag of another command', ['models', 'show', 'n@1', '--out', 'x'], 2, /unknown option '--out'/],
    ['a version after a colon', [...LOAD, 'n:3'], 2, /"n:3" is no reference; a version follows '@': "n@3"\./],
    ['a missing option', ['merge', 'x', '--small', 's'], 2, /--big/],
    ['a missing argument', ['protect', 'x'], 2, /NAME@VERSION/],
    ['no recipient', ['protect', 'x', 'n@1', '--store', '/nowhere'], 2, /--recipient/],
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

  it.each<[string, readonly string[], number, string]>([
    [
      'a variable that is empty, before another flag',
      [...ONE, '--recipient', '--store', 'store'],
      2,
      'error: --recipient wants a value, and --store follows. If it was given a variable or $(…), that is empty. A value that begins so is written --recipient=VALUE.',
    ],
    [
      'a file that is not there in $(cat …)',
      ['login', '--url', 'https://guard.example.com', '--server-key', '--credentials', 'account.txt'],
      2,
      'error: --server-key wants a value, and --credentials follows. If it was given a variable or $(…), that is empty. A value that begins so is written --server-key=VALUE.',
    ],
    [
      'a second model',
      ['protect', 'net.onnx', 'more.onnx', 'net@2', ...TO],
      2,
      'error: too many arguments for \'protect\': "net@2" is one more. It takes PATH and NAME@VERSION; a value that has spaces wants quotes.',
    ],
    [
      'a fingerprint without quotes',
      ['devices', 'approve', '6f1c', '--fingerprint', '1a2b', '3c4d', '5e6f'],
      2,
      'error: too many arguments for \'approve\': "3c4d" is one more. If it belongs to the value of --fingerprint, put that into quotes.',
    ],
    [
      'a value for a flag that takes none',
      [...ONE, ...TO, '--force', 'yes'],
      2,
      'error: too many arguments for \'protect\': "yes" is one more. --force takes no value.',
    ],
    ...FORMER.map(([flag, words, message]): [string, readonly string[], number, string] => [
      `the former flag ${flag} of ${words[0]}`,
      [...words, flag, '1', ...TO],
      2,
      `error: unknown option '${flag}'\n(Name and version are one word: model-guard ${message})`,
    ]),
  ])('names the word that is wrong: %s', async (_, args, code, message) => {
    const result = await modelGuard(...args);
    expect([result.code, result.stderr.trimEnd()]).toEqual([code, message]);
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
    'run',
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

  it.each([[['--version', '--json']], [['--json', '--version']]])('of %j tells what is inside', async (args) => {
    const told: unknown = JSON.parse((await succeed(...args)).stdout);
    expect(told).toEqual({
      modelGuard: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      openssl: { version: process.versions.openssl?.replace(/\+.*/, ''), from: 'runtime' },
      sha256: 'OpenSSL',
      runtime: { name: 'node', version: process.versions.node },
      platform: `${process.platform}-${process.arch}`,
    });
  });

  it('names every command and every exit code', async () => {
    const { stdout } = await succeed('--help');
    for (const command of commands) expect(stdout).toContain(`  ${command} `);
    expect(stdout).toContain('Exit codes:');
    expect((await succeed('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
