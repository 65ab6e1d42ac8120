/** Machines that show nothing, policies that cannot be met, and machine files that are not what they were. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  DeviceKey,
  type ExportMachineOptions,
  exportMachine,
  fingerprint,
  inspect,
  type MachineDemand,
} from '../../src/index.js';
import { bind, publicKeyOf, writeMachineFile } from '../reference/machines.js';
import { become, bindTo, encryptTo, exportOn, openOn } from '../support/bound.js';
import { failureOf } from '../support/failures.js';
import { useMachine } from '../support/machine-addon.js';
import { MachineTree, machineTree } from '../support/machine-tree.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

useMachine('/nowhere');
const folder = temporaryFolder('bad-machines');
const at = (name: string): string => path.join(folder, name);
const random = seeded('machine files');
const server = () => machineTree('sata-server');
const nothing = () => new MachineTree('nothing').folder('/proc').folder('/sys');

const written = (name: string, content: string | Uint8Array): string => {
  writeFileSync(at(name), content);
  return at(name);
};
const code = async (task: () => Promise<unknown>): Promise<string> => (await failureOf(task)).code;

describe('a machine that shows nothing', () => {
  it('is reported factor by factor, without an error', async () => {
    await become(nothing());
    const { factors } = await fingerprint({ values: true });
    expect(factors.map(({ quality }) => quality)).toEqual(Array.from({ length: 6 }, () => 'absent'));
  });

  it('is no machine to bind to, or to open on', async () => {
    const container = await bindTo(server());
    expect(await openOn(nothing(), container)).toBe('HARDWARE_UNREADABLE');
    expect(await code(() => exportMachine(at('nothing.json')))).toBe('HARDWARE_UNREADABLE');
    expect(await code(() => DeviceKey.generate({ path: at('nothing.key') }))).toBe('HARDWARE_UNREADABLE');
  });
});

describe('a policy that this machine cannot meet', () => {
  it.each<[string, ExportMachineOptions, string, RegExp]>([
    ['k greater than n', { factors: ['cpu', 'drive'], atLeast: 3 }, 'INVALID_ARGUMENT', /at least 3/],
    ['k greater than the sum of the weights', { weights: { drive: 2 }, atLeast: 6 }, 'INVALID_ARGUMENT', /at least 6/],
    ['a weight of what does not count', { factors: ['cpu'], weights: { drive: 2 } }, 'INVALID_ARGUMENT', /drive/],
  ])('%s', async (_, policy, expected, message) => {
    await become(server());
    const error = await failureOf(() => exportMachine(at('unmet.json'), policy));
    expect(error).toMatchObject({ code: expected, message: expect.stringMatching(message) });
  });

  it.each<[string, ExportMachineOptions]>([
    ['a required factor that cannot be read', { require: ['drive'] }],
    ['a factor that shall count and cannot be read', { factors: ['cpu', 'uuid'] }],
  ])('%s', async (_, policy) => {
    await become(machineTree('container'));
    expect(await code(() => exportMachine(at('unread.json'), policy))).toBe('HARDWARE_UNREADABLE');
  });
});

describe('a machine file', () => {
  it('is refused after any change by hand', async () => {
    const text = readFileSync(await exportOn(server()), 'utf8');
    const { version: _, ...members } = JSON.parse(text) as Record<string, string>;
    for (const [name, value] of Object.entries(members)) {
      const i = value.startsWith('mgx1:') ? 5 + random.integer(value.length - 5) : random.integer(value.length);
      const other = value[i] === 'a' ? 'b' : 'a';
      const changed = text.replace(value, value.slice(0, i) + other + value.slice(i + 1));
      expect(await code(() => encryptTo(written('changed.json', changed))), `${name}, character ${i}`).toBe(
        'MACHINE_FILE_INVALID',
      );
    }
  });

  it('is refused in any other shape', async () => {
    const text = readFileSync(await exportOn(server()), 'utf8');
    const parsed = JSON.parse(text) as Record<string, unknown>;
    const shapes: Readonly<Record<string, string | Uint8Array>> = {
      empty: '',
      'no JSON': 'machine',
      'a list': '[]\n',
      indented: `${JSON.stringify(parsed, null, 2)}\n`,
      'without its newline': text.trimEnd(),
      'with two newlines': `${text}\n`,
      'with one more member': `${JSON.stringify({ ...parsed, zone: 1 })}\n`,
      'without a member': `${JSON.stringify({ ...parsed, box: undefined })}\n`,
      'of version 0': text.replace('"version":1', '"version":0'),
      'without a version': text.replace(',"version":1', ''),
      'a model': await bindTo(server()),
      cut: text.slice(0, 100),
    };
    for (const [what, content] of Object.entries(shapes))
      expect(await code(() => encryptTo(written('shape.json', content))), what).toBe('MACHINE_FILE_INVALID');
  });

  it('of a newer version says so', async () => {
    const text = readFileSync(await exportOn(server()), 'utf8');
    for (const newer of [text.replace('"version":1', '"version":2'), '{"version":3,"whatever":"else"}\n'])
      expect(await code(() => encryptTo(written('newer.json', newer)))).toBe('VERSION_UNSUPPORTED');
  });

  it('of an absurd size is not read', async () => {
    expect(await code(() => encryptTo(written('large.json', Buffer.alloc(100_000, ' '))))).toBe('LIMIT_EXCEEDED');
  });

  it.each<[string, ExportMachineOptions, MachineDemand, boolean]>([
    ['too few factors', { factors: ['cpu', 'memory'] }, { atLeast: 3 }, false],
    ['as many as demanded', { atLeast: 3, require: [] }, { atLeast: 3 }, true],
    ['weights that let one factor do', { require: [], weights: { drive: 3 }, atLeast: 3 }, { atLeast: 2 }, false],
    ['a factor that need not be there', { require: [], atLeast: 2 }, { require: ['drive'] }, false],
    [
      'a factor that every set needs, though none says so',
      { factors: ['cpu', 'drive'], require: [], atLeast: 2 },
      { require: ['drive'] },
      true,
    ],
    ['a required factor', { require: ['drive'], atLeast: 1 }, { require: ['drive'], atLeast: 1 }, true],
    ['a required factor that is enough alone', { require: ['drive'], atLeast: 1 }, { require: ['drive'], atLeast: 2 }, false],
  ])('with %s meets the demand of the publisher or not', async (_, policy, demand, met) => {
    const file = await exportOn(server(), policy);
    if (met) await encryptTo(file, demand);
    else expect(await code(() => encryptTo(file, demand))).toBe('MACHINE_POLICY_WEAK');
  });

  it('of a build with other salts is one to encrypt to, and opens on that build alone', async () => {
    const bound = bind({ cpu: 'a processor', drive: 'SERIAL' }, { threshold: 2, pepper: random.bytes(32) });
    const file = written('foreign.json', writeMachineFile({ ...bound, publicKey: publicKeyOf(bound.secret) }));
    const container = await encryptTo(file);
    expect((await inspect(container)).slots[0]?.machine).toMatchObject({ salts: 'other', tpm: false, atLeast: 2 });
    expect(await openOn(server(), container)).toBe('SALTS_MISMATCH');
  });
});
