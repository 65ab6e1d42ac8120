/**
 * Wrong values for every flag and argument of every command. If this fails, a message speaks of the SDK's options or of its validator,
 * which the person at the terminal cannot know.
 */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Context } from '../../src/cli/context.js';
import { programOf } from '../../src/cli/program.js';
import { modelGuard, succeed } from '../support/cli.js';
import { FakeGuard } from '../support/fake-guard.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('wrong-values');
const at = (name: string): string => path.join(base, name);
const before = process.cwd();
const ID = 'ab'.repeat(16);
const guard = new FakeGuard();
let runs = 0;
/** A path at which nothing is yet. */
const fresh = (): string => at(`new-${++runs}`);

const WRONG = ['', '-1', 'x y', 'Ä@/', '9'.repeat(5000)];

beforeAll(async () => {
  await guard.listen();
  // Some wrong values are paths that can be written to.
  process.chdir(base);
  writeFileSync(at('net.onnx'), 'a model');
  writeFileSync(at('secret.txt'), 'ada@example.org\na long phrase that is hard to guess\n', { mode: 0o600 });
  await succeed('keygen', '--out', at('master.key'));
  await succeed('keygen', '--type', 'signing', '--out', at('signing.key'));
  await succeed('keygen', '--type', 'device', '--out', at('device.key'));
  const seal = ['--recipient', at('master.key'), '--sign', at('signing.key')];
  await succeed('encrypt', at('net.onnx'), at('net.mguard'), ...seal, '--ref', 'net@1');
  await succeed('protect', at('net.onnx'), ...seal, 'net@1', '--store', at('store'));
  await succeed('split', at('net.mguard'), '--small', at('small'), '--big', at('big'));
  writeFileSync(at('statement'), JSON.stringify({}));
  const profile = { url: guard.url, serverKey: guard.serverKey, credentials: at('secret.txt'), device: at('device.key') };
  mkdirSync(at('profile'), { mode: 0o700 });
  writeFileSync(at('profile/server.json'), JSON.stringify(profile), { mode: 0o600 });
});
afterAll(async () => {
  process.chdir(before);
  await guard.close();
});

/** Arguments that make each command run as far as its options are looked at. */
const ARGUMENTS: Readonly<Record<string, () => string>> = {
  PATH: () => at('net.onnx'),
  IN: () => at('net.mguard'),
  OUT: fresh,
  SMALL: () => at('small'),
  FILE: () => at('statement'),
  'FILE|NAME@VERSION': () => at('net.mguard'),
  'NAME@VERSION': () => 'net@1',
  'NAME[@VERSION]': () => 'net@1',
  ARTIFACT: () => at('net.onnx'),
  ARCHIVE: () => at('net.mguard'),
  NAME: () => 'net',
  EMAIL: () => 'ada@example.org',
};
const FLAGS: Readonly<Record<string, () => string>> = {
  '--out': fresh,
  '--name': () => 'net',
  '--ref': () => 'net@1',
  '--small': () => at('small'),
  '--big': () => at('big'),
  '--sign': () => at('signing.key'),
  '--url': () => guard.url,
  '--server-key': () => guard.serverKey,
  '--device': () => at('device.key'),
  '--fingerprint': () => '1a2b',
  '--account': () => ID,
  '--current': () => at('secret.txt'),
  '--new': () => at('secret.txt'),
  '--role': () => 'operator',
  '--password-file': () => at('secret.txt'),
  '--checkpoint': () => at('statement'),
  '--key': () => guard.serverKey,
  '--event': () => '5',
  '--head': () => 'ab'.repeat(48),
};
/** Beside what is required, for commands that have these flags. */
const USUAL: readonly (readonly [string, () => string])[] = [
  ['--store', () => at('store')],
  ['--recipient', () => at('master.key')],
  ['--identity', () => at('master.key')],
  ['--unsigned', () => 'accept'],
  ['--signer', () => at('signing.key')],
  ['--profile', () => at('profile/server.json')],
  ['--key-file', () => at('secret.txt')],
  ['--key-string-file', () => at('secret.txt')],
];

const leavesOf = (command: Command): Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);
const pathOf = (command: Command): string[] => (command.parent ? [...pathOf(command.parent), command.name()] : []);
const has = (command: Command, flag: string): boolean => command.options.some(({ long }) => long === flag);

function usualFlags(command: Command, without: string): string[] {
  const required = command.options.filter(({ mandatory, long }) => mandatory && long !== without);
  const usual = USUAL.filter(([flag]) => {
    // These two exclude each other.
    const both = flag === '--signer' && has(command, '--unsigned');
    return has(command, flag) && flag !== without && !both;
  });
  // With a server behind them these commands take nothing else.
  const own = command.name() === 'unlock' ? usual.filter(([flag]) => flag !== '--identity') : usual;
  const given = required.map(({ long }) => [long ?? '', FLAGS[long ?? '']?.() ?? ID] as const);
  return [...given, ...own.map(([flag, value]) => [flag, value()] as const)].flat();
}

const usualArguments = (command: Command): string[] =>
  command.registeredArguments.filter(({ variadic }) => !variadic).map((argument) => ARGUMENTS[argument.name()]?.() ?? ID);

/** Every way to give this command one wrong value. */
function* mistakesOf(command: Command): Generator<readonly string[]> {
  for (const value of WRONG) {
    for (const option of command.options) {
      const { long = '', flags } = option;
      if (/[<[]/.test(flags)) yield [...usualFlags(command, long), `${long}=${value}`, ...usualArguments(command)];
    }
    for (const index of usualArguments(command).keys())
      yield [...usualFlags(command, ''), '--', ...usualArguments(command).map((usual, at) => (at === index ? value : usual))];
  }
}

/** Names that the command line itself uses so. */
const OWN_NAMES = new Set(['apiAdmin', 'resourceUploader', 'payloadId']);
const VALIDATOR = /Invalid (input|option|string)|Too (big|small)|expected .*received|Unrecognized key|is not valid|NaN/;
const OPTION = /(?<!-)\b(options|params|query|body|ref|rule|demand|source|recipients|identities|verifier|signer)(\.|\[|:)/;

/** Of what a message says beside the values that were given. */
function strangeWords(stderr: string, given: readonly string[]): string[] {
  let text = stderr;
  for (const value of [...given, base].filter((one) => one.length > 2)) text = text.replaceAll(value, '');
  const names = [...text.matchAll(/\b[a-z]+[A-Z]\w*\b/g)].map(([word]) => word).filter((word) => !OWN_NAMES.has(word));
  return [...names, ...(VALIDATOR.exec(text) ?? []).slice(0, 1), ...(OPTION.exec(text) ?? []).slice(0, 1)];
}

describe('messages about wrong values', () => {
  const commands = leavesOf(programOf(new Context([])));

  it.each(commands.map((command) => [pathOf(command).join(' '), command] as const))('%s', async (_, command) => {
    const strange: string[] = [];
    for (const args of mistakesOf(command)) {
      cpSync(at('profile'), at('profile-before'), { recursive: true });
      const { stderr, code } = await modelGuard(...pathOf(command), ...args);
      cpSync(at('profile-before'), at('profile'), { recursive: true });
      const words = strangeWords(stderr, args);
      if (words.length > 0 || (code !== 0 && stderr === ''))
        strange.push(`${args.join(' ').slice(0, 300)}\n${words}: ${stderr.slice(0, 600)}`);
    }
    expect(strange).toEqual([]);
  });
});
