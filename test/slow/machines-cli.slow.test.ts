/**
 * Machines on the command line. A model protected for machine A loads there with no server and no key file, and ends on machine B
 * with the code for wrong hardware. Recorded machines exist for a build for tests alone: the released addon does not know the variable.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { become } from '../support/bound.js';
import { modelGuard, succeed } from '../support/cli.js';
import { machineAddon, machineEnv, machineImports, useMachine } from '../support/machine-addon.js';
import { machineTree } from '../support/machine-tree.js';
import { seeded } from '../support/seed.js';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

useMachine('/nowhere');
const base = temporaryFolder('cli-machines');
const at = (name: string): string => path.join(base, name);
const plain = seeded('machines on the command line').bytes(100_000);
const MAIN = path.join(projectRoot, 'src/cli/main.ts');
const A = 'bare-metal-nvme-nvidia';
const B = 'sata-server';

/** The command as a process of its own, as released. */
function released(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
  return start([], env, args);
}

/** The same on a recorded machine. */
function command(machine: Readonly<Record<string, string>>, ...args: readonly string[]) {
  return start(machineImports, machine, args);
}

function start(imports: readonly string[], env: Readonly<Record<string, string>>, args: readonly string[]) {
  const { MODEL_GUARD_TEST_MACHINE: _, ...clean } = process.env;
  const words = ['--import', 'tsx', ...imports, MAIN, ...args];
  const run = spawnSync(process.execPath, words, { cwd: projectRoot, env: { ...clean, ...env } });
  return { code: run.status, stdout: run.stdout, stderr: run.stderr.toString('utf8') };
}

beforeAll(() => {
  writeFileSync(at('net.onnx'), plain);
});

describe('a model protected for machine A', () => {
  it('loads there with no server and no key file, and on machine B ends in HARDWARE_MISMATCH', async () => {
    const [onA, onB] = [machineEnv(await machineTree(A).write()), machineEnv(await machineTree(B).write())];
    const store = at('store');
    const exported = command(onA, 'fingerprint', '--out', at('machine.json'), '--require', 'drive', '--at-least', '3');
    expect(exported).toMatchObject({ code: 0 });
    expect(exported.stdout.toString()).toMatch(
      /opens with any 3 of cpu, gpu, memory, drive \(required\); public default salts\n$/,
    );

    // The build machine is a third one; it has the file and the model, and no key but its own to sign.
    const build = machineEnv(await machineTree('vm-virtio').write());
    const published = command(
      build,
      ...['protect', at('net.onnx'), 'net@1', '--store', store],
      ...['--machine', at('machine.json'), '--require-factor', 'drive', '--at-least-factors', '3'],
    );
    expect(published).toMatchObject({ code: 0 });
    expect(
      readdirSync(base).filter((name) => name.endsWith('.key')),
      'there is no key file at all',
    ).toEqual([]);

    const load = ['load', 'net@1', '--store', store, '--hardware', '--unsigned', 'accept', '--out', '-'];
    const loaded = command(onA, ...load);
    expect(loaded).toMatchObject({ code: 0 });
    expect(Buffer.compare(loaded.stdout, plain)).toBe(0);
    const refused = command(onB, ...load);
    expect(refused).toMatchObject({ code: 5, stderr: expect.stringContaining('[HARDWARE_MISMATCH]') });
    expect(refused.stdout.length, 'nothing of the model leaves').toBe(0);
  }, 120_000);
});

describe('the released addon', () => {
  it('looks at this machine, whatever the variable says', async () => {
    const machine = await machineTree(A).write();
    const show = ['fingerprint', '--show-values', '--json'];
    const told = released({ MODEL_GUARD_TEST_MACHINE: machine }, ...show);
    const untold = released({}, ...show);
    expect([told.code, untold.code]).toEqual([0, 0]);
    expect(told.stdout.toString()).toBe(untold.stdout.toString());
    const recorded = command(machineEnv(machine), ...show);
    expect(recorded.stdout.toString(), 'the build for tests does listen to it').not.toBe(untold.stdout.toString());
  });

  it('does not even hold the name of the variable', () => {
    const script = 'process.stdout.write(require("node-gyp-build").path(process.cwd()))';
    const file = spawnSync(process.execPath, ['-e', script], { cwd: projectRoot, encoding: 'utf8' }).stdout;
    expect(readFileSync(file).includes('MODEL_GUARD_TEST_MACHINE'), file).toBe(false);
    expect(readFileSync(machineAddon).includes('MODEL_GUARD_TEST_MACHINE'), 'the search finds it where it is').toBe(true);
  });
});

describe('flags of machines', () => {
  const protecting = (name: string, ...flags: string[]) => [
    ...['encrypt', at('net.onnx'), at(name), '--ref', 'net@1', '--machine', at('flags.json'), ...flags],
  ];

  beforeAll(async () => {
    await become(machineTree(A));
    await succeed('fingerprint', '--out', at('flags.json'), '--no-require', '--at-least', '2', '--weight', 'drive=2');
  });

  it('give the policy to the machine file, and the terms as JSON', async () => {
    const flags = ['--factor', 'cpu', '--factor', 'gpu', '--factor', 'drive', '--require', 'drive', '--require', 'cpu'];
    const more = ['--at-least', '4', '--weight', 'drive=2', '--tpm', 'never'];
    const { stdout } = await succeed('fingerprint', '--json', '--out', at('policy.json'), ...flags, ...more);
    expect((JSON.parse(stdout) as { machineFile: unknown }).machineFile).toEqual({
      file: at('policy.json'),
      factors: [
        { name: 'cpu', weight: 1, required: true },
        { name: 'gpu', weight: 1, required: false },
        { name: 'drive', weight: 2, required: true },
      ],
      atLeast: 4,
      tpm: false,
      saltsId: expect.stringMatching(/^[0-9a-f]{16}$/),
      salts: 'default',
    });
    expect(await modelGuard('fingerprint', '--out', at('policy.json'))).toMatchObject({ code: 6 });
    await succeed('fingerprint', '--out', at('policy.json'), '--force');
  });

  it('say where a set without a strong factor opens', async () => {
    const { stdout } = await succeed('fingerprint', '--out', at('weak.json'), '--no-require', '--at-least', '2');
    expect(stdout).toMatch(/It opens without drive.* too: --require drive would close that/);
  });

  it('refuse a machine file that is weaker than the publisher wants', async () => {
    for (const demand of [
      ['--require-factor', 'drive'],
      ['--at-least-factors', '2'],
    ])
      expect(await modelGuard(...protecting('weak.mguard', ...demand))).toMatchObject({
        code: 5,
        stderr: expect.stringContaining('[MACHINE_POLICY_WEAK]'),
      });
    await succeed(...protecting('net.mguard', '--at-least-factors', '1'));
  });

  it('show the terms in inspect', async () => {
    const { stdout } = await succeed('inspect', at('net.mguard'));
    expect(stdout).toContain('opens with weight 2 of cpu, gpu, memory, drive ×2; public default salts');
    const { slots } = JSON.parse((await succeed('inspect', at('net.mguard'), '--json')).stdout) as { slots: object[] };
    expect(slots[0]).toMatchObject({ type: 'hardware', machine: { atLeast: 2, salts: 'default' } });
  });

  it('open with --hardware: decrypt, rewrap, rekey', async () => {
    const unsigned = ['--unsigned', 'accept'];
    await succeed('keygen', '--out', at('master.key'));
    await succeed('keygen', '--type', 'signing', '--out', at('signing.key'));
    await succeed('decrypt', at('net.mguard'), at('net.decrypted'), '--hardware', ...unsigned);
    expect(Buffer.compare(readFileSync(at('net.decrypted')), plain)).toBe(0);

    const parts = ['--small', at('net.small'), '--big', at('net.big')];
    await succeed('split', at('net.mguard'), ...parts);
    await succeed('rewrap', at('net.small'), at('key.small'), '--hardware', '--recipient', at('master.key'));
    await succeed('rewrap', at('key.small'), at('back.small'), '--identity', at('master.key'), '--machine', at('flags.json'));
    expect((await succeed('inspect', at('back.small'))).stdout).toContain('hardware');

    const store = ['--store', at('rekeyed')];
    await succeed('protect', at('net.onnx'), 'net@1', '--machine', at('flags.json'), ...store);
    const sign = ['--sign', at('signing.key')];
    await succeed('rekey', 'net@1', ...store, '--hardware', '--machine', at('flags.json'), ...sign, ...unsigned);
    const { bytes } = await succeed('load', 'net@1', ...store, '--hardware', ...unsigned, '--out', '-');
    expect(Buffer.compare(bytes, plain)).toBe(0);
  });

  it.each([
    ['a policy without --out', ['fingerprint', '--require', 'drive'], /give --out/],
    ['an unknown factor', ['fingerprint', '--out', 'x', '--require', 'colour'], /Allowed choices are cpu, gpu/],
    ['a weight that is none', ['fingerprint', '--out', 'x', '--weight', 'drive'], /FACTOR=N/],
    ['more than all', ['fingerprint', '--out', 'x', '--at-least', '9'], /at least 9/],
    [
      'a demand without a machine',
      ['encrypt', 'a', 'b', '--recipient', 'mgx1:', '--require-factor', 'cpu'],
      /are about --machine/,
    ],
    ['a policy for an unsealed key', ['keygen', '--type', 'device', '--out', 'x', '--factor', 'cpu'], /give --sealed/],
    ['a master key sealed', ['keygen', '--sealed', '--out', 'x'], /--type device/],
    ['no identity at all', ['decrypt', 'a', 'b', '--unsigned', 'accept'], /--identity, --hardware or a passphrase/],
  ])('refuse %s', async (_, args, message) => {
    expect(await modelGuard(...args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(message) });
  });
});

describe('keygen', () => {
  it('seals a device key to this machine, and says to what', async () => {
    await become(machineTree(A));
    const args = ['keygen', '--type', 'device', '--sealed', '--tpm', 'never', '--require', 'drive', '--at-least', '3'];
    const { stdout, stderr } = await succeed(...args, '--out', at('device.key'));
    expect(stdout).toMatch(/^mgd1:[A-Za-z0-9_-]{86}\n$/);
    expect(stderr).toContain('opens on this machine alone, with any 3 of cpu, gpu, memory, drive (required)');
    expect(readFileSync(at('device.key'), 'utf8')).toMatch(/^model-guard-key v1 device sealed\n/);
    const json = JSON.parse((await succeed(...args, '--out', at('json.key'), '--json')).stdout) as object;
    expect(json).toMatchObject({ type: 'device', file: at('json.key'), sealedTo: { atLeast: 3, tpm: false } });

    await succeed('encrypt', at('net.onnx'), at('device.mguard'), '--recipient', stdout.trim());
    const open = ['decrypt', at('device.mguard'), '-', '--identity', at('device.key'), '--unsigned', 'accept'];
    expect(Buffer.compare((await succeed(...open)).bytes, plain)).toBe(0);
    await become(machineTree(B));
    expect(await modelGuard(...open)).toMatchObject({ code: 5, stderr: expect.stringContaining('[HARDWARE_MISMATCH]') });
  });

  it('makes salts for a build of an own', async () => {
    const { stdout } = await succeed('keygen', '--type', 'salts', '--out', at('salts.txt'));
    expect(stdout).toContain(`MODEL_GUARD_SALTS=${at('salts.txt')}`);
    expect(statSync(at('salts.txt')).mode & 0o777).toBe(0o600);
    const text = readFileSync(at('salts.txt'), 'utf8');
    expect(text).toMatch(/^model-guard-salts v1\n/);
    for (const line of text.trim().split('\n').slice(1)) expect(stdout).not.toContain(line.split(' ')[1]);
    expect(await modelGuard('keygen', '--type', 'salts', '--out', at('salts.txt'))).toMatchObject({ code: 6 });
    const json = await succeed('keygen', '--type', 'salts', '--out', at('more.txt'), '--json');
    expect(JSON.parse(json.stdout)).toEqual({ type: 'salts', file: at('more.txt') });
  });
});
