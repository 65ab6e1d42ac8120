/** The fingerprint of a machine: how good each part is and why. Values only where asked for, and never a hash of one. */
import { describe, expect, it } from 'vitest';
import { fingerprint, type HardwareFingerprint, type MachineFactor } from '../../src/index.js';
import { become, bindTo, openOn } from '../support/bound.js';
import { succeed } from '../support/cli.js';
import { useMachine } from '../support/machine-addon.js';
import { disturbancesOf, machineNames, machineTree } from '../support/machine-tree.js';
import { skipTest } from '../support/shared.js';
import { Swtpm, swtpmAvailable } from '../support/swtpm.js';

useMachine('/nowhere');
const NAMES: readonly MachineFactor[] = ['cpu', 'gpu', 'memory', 'drive', 'uuid', 'tpm'];

const quality = ({ factors }: HardwareFingerprint) => Object.fromEntries(factors.map(({ name, quality }) => [name, quality]));

describe.each(machineNames)('the report of %s', (name) => {
  it('has every factor, with a quality, a source and a reason', async () => {
    await become(machineTree(name));
    const { factors, environment, salts } = await fingerprint();
    expect(factors.map((factor) => factor.name)).toEqual(NAMES);
    for (const { quality, source, why } of factors) {
      expect(['strong', 'weak', 'virtual', 'absent']).toContain(quality);
      expect(source, 'a source names the place on the machine itself').toMatch(/^(\/(proc|sys|run|etc)\/|CPUID|TPM)/);
      expect(why).toMatch(/\S/);
    }
    expect(environment.container).toBe(name === 'container');
    expect('virtualMachine' in environment).toBe(name.startsWith('vm-'));
    expect(salts).toEqual({ id: expect.stringMatching(/^[0-9a-f]{16}$/), default: true });
  });

  it('shows no value unless asked, and nothing like a hash either way', async () => {
    await become(machineTree(name));
    const shown = await fingerprint({ values: true });
    const values = shown.factors.flatMap(({ value }) => (value === undefined ? [] : [value]));
    expect(values.length).toBe(shown.factors.filter((factor) => factor.quality !== 'absent').length);
    const plain = await fingerprint();
    expect('machineId' in plain || plain.factors.some((factor) => 'value' in factor)).toBe(false);
    const text = JSON.stringify({ ...plain, salts: undefined });
    for (const value of [...values, ...(shown.machineId === undefined ? [] : [shown.machineId])])
      expect(text, 'a value is in the report').not.toContain(value);
    expect(text).not.toMatch(/[0-9a-f]{16}/i);
    const { machineId: _, factors, ...rest } = shown;
    expect(
      { ...rest, factors: factors.map(({ value: _, label: __, ...factor }) => factor) },
      'more than values is shown',
    ).toEqual(plain);
  });

  it(`is the same after ${disturbancesOf(name).join(', ')}`, async () => {
    await become(machineTree(name));
    const before = (await fingerprint({ values: true })).factors.map(({ name, value }) => [name, value]);
    for (const edit of disturbancesOf(name)) {
      await become(machineTree(name).edit(edit));
      const after = (await fingerprint({ values: true })).factors.map(({ name, value }) => [name, value]);
      expect(after, edit).toEqual(before);
    }
  });
});

describe('quality', () => {
  it.each<[string, Partial<Record<MachineFactor, string>>]>([
    ['bare-metal-nvme-nvidia', { cpu: 'weak', gpu: 'weak', memory: 'weak', drive: 'strong' }],
    ['sata-server', { drive: 'strong' }],
    ['laptop-two-gpus', { gpu: 'weak', drive: 'strong' }],
    ['vm-virtio', { cpu: 'virtual', drive: 'virtual', uuid: 'virtual' }],
    ['container', { cpu: 'weak', drive: 'absent' }],
  ])('of %s', async (name, expected) => {
    await become(machineTree(name));
    expect(quality(await fingerprint())).toMatchObject(expected);
  });

  it('of a TPM is absent until it is asked', async () => {
    await become(machineTree('bare-metal-nvme-nvidia'));
    expect((await fingerprint()).factors.find(({ name }) => name === 'tpm')).toMatchObject({ quality: 'absent', source: 'TPM' });
  });

  it('of a TPM that is asked is strong, and its key is a factor to bind to', async (context) => {
    if (!swtpmAvailable()) skipTest(context, 'swtpm and tpm2-tools are not installed');
    await become(machineTree('sata-server'));
    const before = process.env.MODEL_GUARD_TCTI;
    const [own, other] = [new Swtpm(), new Swtpm()];
    try {
      await own.start();
      process.env.MODEL_GUARD_TCTI = own.tcti;
      const asked = (await fingerprint({ tpm: true })).factors.find(({ name }) => name === 'tpm');
      expect(asked).toEqual({ name: 'tpm', quality: 'strong', source: 'TPM', needsRoot: false, why: expect.any(String) });
      const { factors } = await fingerprint({ tpm: true, values: true });
      expect(factors.at(-1)?.value).toMatch(/^[0-9a-f]{68}$/);

      const container = await bindTo(machineTree('sata-server'), { require: ['tpm'], atLeast: 4 });
      expect(await openOn(machineTree('sata-server'), container)).toBe('OK');
      await other.start();
      process.env.MODEL_GUARD_TCTI = other.tcti;
      expect(await openOn(machineTree('sata-server'), container), 'another TPM').toBe('HARDWARE_MISMATCH');
    } finally {
      if (before === undefined) delete process.env.MODEL_GUARD_TCTI;
      else process.env.MODEL_GUARD_TCTI = before;
    }
  });
});

describe('model-guard fingerprint', () => {
  it('shows people a table, says how strong that is, and whose salts they are', async () => {
    await become(machineTree('bare-metal-nvme-nvidia'));
    const { stdout } = await succeed('fingerprint');
    expect(stdout).toMatch(/FACTOR +QUALITY +WHY +SOURCE\n/);
    expect(stdout).toMatch(/drive +strong +/);
    expect(stdout).toContain('Hard to guess from afar: drive');
    expect(stdout).toContain('Salts: the public defaults,');
    expect(stdout).not.toContain('VALUE');
  });

  it('says so where a copy of the machine would pass for it', async () => {
    await become(machineTree('vm-virtio'));
    const { stdout } = await succeed('fingerprint');
    expect(stdout).toMatch(/^A virtual machine \(/);
    expect(stdout).toMatch(/A copy of this virtual machine opens what this one opens/);
    expect(stdout).toContain('Nothing here is known to be hard to guess');
  });

  it("shows the factors' own bytes, so that a second implementation can compare its own", async () => {
    await become(machineTree('bare-metal-nvme-nvidia'));
    const { factors } = await fingerprint({ values: true });
    expect(Object.fromEntries(factors.map(({ name, value }) => [name, value]))).toEqual({
      cpu: 'AMD Ryzen Threadripper PRO 5975WX 32-Cores',
      gpu: '10de:2230/10de:1459, 10de:2230/10de:1459',
      memory: '131072 MiB',
      drive: 'S6Z2NJ0W712345K',
      uuid: '7a3e5d20-91c4-11ec-8f6b-04421a2f9c11',
    });
    expect(Object.fromEntries(factors.map(({ name, label }) => [name, label]))).toEqual({
      gpu: 'NVIDIA RTX A6000 (10de:2230/10de:1459), NVIDIA RTX A6000 (10de:2230/10de:1459)',
      memory: '128 GiB',
      drive: 'S6Z2NJ0W712345K (Samsung SSD 990 PRO 2TB)',
    });
  });

  it('shows values with --show-values, and how people call them', async () => {
    await become(machineTree('bare-metal-nvme-nvidia'));
    const { factors, machineId } = await fingerprint({ values: true });
    const { stdout } = await succeed('fingerprint', '--show-values');
    for (const { value, label } of factors)
      for (const text of [value, label]) if (text !== undefined) expect(stdout).toContain(text);
    expect(stdout).toMatch(/ 131072 MiB +128 GiB/);
    expect(stdout).toContain(machineId);
  });

  it('writes the same as JSON', async () => {
    await become(machineTree('laptop-two-gpus'));
    expect(JSON.parse((await succeed('fingerprint', '--json')).stdout)).toEqual(await fingerprint());
    expect(JSON.parse((await succeed('fingerprint', '--json', '--show-values')).stdout)).toEqual(
      await fingerprint({ values: true }),
    );
  });
});
