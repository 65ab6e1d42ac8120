/**
 * Machines in two implementations of docs/format.md. What each recorded machine's factors are was read from section 12 by hand; one
 * implementation binds to these values and the other opens, each way: slots, machine files, sealed device keys.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { DeviceKey, decrypt, encrypt, exportMachine, fingerprint, hardware, inspect, ModelGuardError } from '../../src/index.js';
import { ascii, same, unhex } from '../reference/bytes.js';
import { openContainer, publicKeyText, sealContainer } from '../reference/container.js';
import { keyId } from '../reference/core.js';
import { alter, parts } from '../reference/forge.js';
import { FACTORS, type FactorName } from '../reference/helper.js';
import { DEVICE_KEY, MACHINE_FILE, SEALED_KEY, VALUES } from '../reference/machine-vector.js';
import {
  type BindOptions,
  bind,
  type FactorValues,
  type MachineFile,
  open,
  openDeviceKey,
  openWith,
  parseMachineFile,
  publicKeyOf,
  sealDeviceKey,
  stretch,
  writeMachineFile,
} from '../reference/machines.js';
import { publicOf } from '../reference/primitives.js';
import { failureOf } from '../support/failures.js';
import { useMachine } from '../support/machine-addon.js';
import { machineNames, machineTree, replacedOf } from '../support/machine-tree.js';
import { print } from '../support/print.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('machines-interop');
const random = seeded('machines, both implementations');
const MINUTES = 300_000; // scrypt, over and over, on two busy cores
let files = 0;
const newFile = (): string => {
  files += 1;
  return path.join(folder, `file-${files}`);
};

// What section 12 makes of test/machines/*.tree.
const MACHINES: Readonly<Record<string, FactorValues>> = {
  'arm-board': {
    cpu: '0x41:0xd05, 0x41:0xd0b; Radxa ROCK 5B',
    gpu: 'rockchip,display-subsystem, rockchip,rk3588-mali',
    memory: '16384 MiB',
    drive: '0x3d5a1c7e',
  },
  'bare-metal-nvme-nvidia': {
    cpu: 'AMD Ryzen Threadripper PRO 5975WX 32-Cores',
    gpu: '10de:2230/10de:1459, 10de:2230/10de:1459',
    memory: '131072 MiB',
    drive: 'S6Z2NJ0W712345K',
    uuid: '7a3e5d20-91c4-11ec-8f6b-04421a2f9c11',
  },
  container: {
    cpu: 'AMD EPYC 7763 64-Core Processor',
    gpu: 'NVIDIA A100-SXM4-80GB',
    memory: '1048576 MiB',
  },
  'laptop-two-gpus': {
    cpu: '12th Gen Intel(R) Core(TM) i7-12700H',
    gpu: '10de:25a0/1043:1df2, 8086:46a6/1043:1df2',
    memory: '32768 MiB',
    drive: 'ADB8N474712345678',
    uuid: '9c2f1b7e-4d5a-4e60-8b1d-f02f74a1c3e5',
  },
  'sata-server': {
    cpu: 'Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz',
    gpu: '1a03:2000/15d9:1b16',
    memory: '262144 MiB',
    drive: 'naa.500a07513f1a2b01',
    uuid: '00000000-0000-0000-0000-3cecef8a1b2c',
  },
  'vm-virtio': {
    cpu: 'Intel Xeon Processor (Icelake)',
    gpu: '1af4:1050/1af4:1100',
    memory: '8192 MiB',
    drive: 'a7c1f1d0-5e2b-4c3d-9',
    uuid: 'd2b1a0c9-8e7f-4d6c-9b5a-4f3e2d1c0b9a',
  },
};
const valuesOf = (machine: string): FactorValues => MACHINES[machine] ?? {};
const namesOf = (values: FactorValues): FactorName[] => FACTORS.filter((name) => values[name] !== undefined);
const only = (values: FactorValues, names: readonly FactorName[]): FactorValues =>
  Object.fromEntries(names.map((name) => [name, values[name]]));

async function standOn(machine: string, replaced: readonly string[] = []): Promise<void> {
  const tree = machineTree(machine);
  for (const factor of replaced) tree.edit(`other-${factor}`);
  useMachine(await tree.write());
}

const plain = random.bytes(20_000);
const NAMED = { name: 'net', version: '1' } as const;

function machineFor(values: FactorValues, options: BindOptions): MachineFile {
  const bound = bind(values, options);
  return { ...bound, publicKey: publicKeyOf(bound.secret) };
}
const sealTo = (...machines: readonly MachineFile[]): Uint8Array =>
  sealContainer(new Map([['net.bin', plain]]), { ...NAMED, recipients: machines.map((machine) => ({ machine })) });

/** Whether the SDK gets the plaintext back on this machine; else why not. */
async function sdkOpens(container: Uint8Array): Promise<string> {
  try {
    using model = await decrypt(container, { identities: [hardware()], unsigned: 'accept' });
    return same(model.bytes, plain) ? 'opened' : 'other bytes';
  } catch (error) {
    if (error instanceof ModelGuardError) return error.code;
    throw error;
  }
}

async function exported(policy: Parameters<typeof exportMachine>[1]): Promise<{ file: MachineFile; path: string }> {
  const target = newFile();
  await exportMachine(target, policy);
  return { file: parseMachineFile(Uint8Array.from(readFileSync(target))), path: target };
}

interface Policy {
  readonly names: readonly FactorName[];
  readonly weights: Readonly<Partial<Record<FactorName, number>>>;
  readonly required: readonly FactorName[];
  readonly threshold: number;
}

function somePolicy(all: readonly FactorName[]): Policy {
  const names = random.shuffle(all).slice(0, 1 + random.integer(all.length));
  const weights = Object.fromEntries(names.map((name) => [name, random.pick([1, 1, 1, 2, 5])]));
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
  return { names, weights, required: names.filter(() => random.integer(4) === 0), threshold: 1 + random.integer(total) };
}

const allows = ({ names, weights, required, threshold }: Policy, right: readonly FactorName[]): boolean =>
  required.every((name) => right.includes(name)) &&
  names.filter((name) => right.includes(name)).reduce((sum, name) => sum + (weights[name] ?? 0), 0) >= threshold;

it('every recorded machine has its values here', () => {
  expect(Object.keys(MACHINES).sort()).toEqual([...machineNames].sort());
});

describe.each(Object.keys(MACHINES))('%s', (machine) => {
  const values = valuesOf(machine);
  const names = namesOf(values);
  beforeAll(() => standOn(machine));

  it('shows these factors and no other', async () => {
    const { factors } = await fingerprint();
    expect(factors.filter(({ quality }) => quality !== 'absent').map(({ name }) => name)).toEqual(names);
  });

  it.each(names)('has the %s that the reference expects', async (name) => {
    expect(await sdkOpens(sealTo(machineFor(only(values, [name]), { threshold: 1 })))).toBe('opened');
  });

  it('opens for the reference what the SDK bound to all of it', { timeout: MINUTES }, async () => {
    const { file, path: target } = await exported({ factors: names, atLeast: names.length });
    expect(file.helper.factors.map(({ name }) => name)).toEqual(names);
    expect(file.helper.threshold).toBe(names.length);
    const stretched = stretch(file.helper, values);
    const secret = openWith(file.helper.factors, file, { stretched });
    expect(secret && publicKeyOf(secret)).toEqual(file.publicKey);
    for (const name of names) {
      const another = new Map([...stretched, [name, random.bytes(32)]]);
      expect(openWith(file.helper.factors, file, { stretched: another }), `with another ${name}`).toBeUndefined();
    }

    const container = await encrypt(plain, { recipients: [hardware(target)] });
    const { files: opened } = openContainer(container, [{ machine: { values } }]);
    expect(opened.size).toBe(1);
    for (const bytes of opened.values()) expect(same(bytes, plain), 'other bytes').toBe(true);
  });
});

describe('a sealed device key', () => {
  it.each(['container', 'laptop-two-gpus'])('of either opens for the other on a %s', { timeout: MINUTES }, async (machine) => {
    await standOn(machine);
    const values = valuesOf(machine);
    const target = newFile();
    const { publicKey } = await DeviceKey.generate({ path: target, tpm: 'never' });
    const device = openDeviceKey(Uint8Array.from(readFileSync(target)), { values });
    if (device === undefined) throw new Error('the reference does not open what the SDK sealed');
    const textOf = (key: Uint8Array): string =>
      publicKeyText('mgd1', publicOf('x25519', key.slice(0, 32)), publicOf('ed25519', key.slice(32)));
    expect(textOf(device)).toBe(String(publicKey));

    const theirs = newFile();
    const mine = random.bytes(64);
    writeFileSync(theirs, sealDeviceKey(mine, bind(values, { threshold: 3 })), { mode: 0o600 });
    expect(String((await DeviceKey.fromFile(theirs)).publicKey)).toBe(textOf(mine));
    const elsewhere = newFile();
    writeFileSync(elsewhere, sealDeviceKey(mine, bind({ cpu: 'another' }, { threshold: 1 })), { mode: 0o600 });
    expect((await failureOf(() => DeviceKey.fromFile(elsewhere))).code).toBe('HARDWARE_MISMATCH');
  });
});

describe('policies', () => {
  it('of the reference hold in the SDK', { timeout: MINUTES }, async () => {
    const seen = { opened: 0, HARDWARE_MISMATCH: 0 };
    for (let round = 0; round < scaled(60, 8); round += 1) {
      const machine = random.pick(Object.keys(MACHINES));
      const values = valuesOf(machine);
      const policy = somePolicy(namesOf(values));
      const replaced = replacedOf(machine).filter(() => random.integer(3) === 0);
      await standOn(machine, replaced);
      const right = policy.names.filter((name) => !replaced.includes(name));
      const found = await sdkOpens(sealTo(machineFor(only(values, policy.names), policy)));
      const wanted = allows(policy, right) ? 'opened' : 'HARDWARE_MISMATCH';
      expect(found, `${machine} with another ${replaced.join()}: ${JSON.stringify(policy)}`).toBe(wanted);
      seen[wanted] += 1;
    }
    print(`machines: the SDK judged as the reference's policies say: ${seen.opened} opened, ${seen.HARDWARE_MISMATCH} refused`);
  });

  it('of the SDK hold in the reference', { timeout: MINUTES }, async () => {
    const seen = { opened: 0, refused: 0 };
    for (let round = 0; round < scaled(30, 5); round += 1) {
      const machine = random.pick(Object.keys(MACHINES));
      const values = valuesOf(machine);
      const policy = somePolicy(namesOf(values));
      await standOn(machine);
      const { names: factors, required: require, threshold: atLeast, weights } = policy;
      const { file } = await exported({ factors, require, atLeast, weights });
      const { helper } = file;
      expect(helper.factors.map(({ name, required, shares }) => [name, required, shares.length])).toEqual(
        FACTORS.filter((name) => factors.includes(name)).map((name) => [name, require.includes(name), weights[name]]),
      );
      const right = factors.filter(() => random.integer(3) > 0);
      const secret = open(file, { values: only(values, right) });
      expect(secret !== undefined, `${machine} with ${right.join()}: ${JSON.stringify(policy)}`).toBe(allows(policy, right));
      if (secret) expect(publicKeyOf(secret)).toEqual(file.publicKey);
      seen[secret ? 'opened' : 'refused'] += 1;
    }
    print(`machines: the reference judged as the SDK's policies say: ${seen.opened} opened, ${seen.refused} refused`);
  });

  it('are shown by inspect', async () => {
    const file = machineFor(only(valuesOf('vm-virtio'), ['cpu', 'drive']), {
      threshold: 3,
      required: ['drive'],
      weights: { drive: 2 },
    });
    const { slots } = await inspect(sealTo(file));
    expect(slots).toMatchObject([
      {
        type: 'hardware',
        keyId: Buffer.from(keyId(file.publicKey)).toString('hex'),
        machine: {
          factors: [
            { name: 'cpu', weight: 1, required: false },
            { name: 'drive', weight: 2, required: true },
          ],
          atLeast: 3,
          tpm: false,
          salts: 'default',
          saltsId: Buffer.from(file.helper.saltsId).toString('hex'),
        },
      },
    ]);
  });
});

describe('a slot that does not open', () => {
  const values = valuesOf('vm-virtio');
  const mine = machineFor(only(values, ['drive']), { threshold: 1 });
  const others = machineFor({ drive: 'another' }, { threshold: 1 });
  const salted = machineFor(only(values, ['drive']), { threshold: 1, pepper: random.bytes(32) });
  beforeAll(() => standOn('vm-virtio'));

  it('does not keep the next one from opening', async () => {
    expect(await sdkOpens(sealTo(others, salted, mine))).toBe('opened');
    // Its box opens, but the key that comes out is not the one the slot names.
    const misnamed: MachineFile = { ...mine, publicKey: publicOf('x25519', random.bytes(32)) };
    expect(await sdkOpens(sealTo(misnamed, mine))).toBe('opened');
    expect(await sdkOpens(sealTo(misnamed))).not.toBe('opened');
  });

  it('says whether the salts or the machine are others', async () => {
    expect(await sdkOpens(sealTo(salted))).toBe('SALTS_MISMATCH');
    expect(await sdkOpens(sealTo(others))).toBe('HARDWARE_MISMATCH');
  });

  it('is refused when any part of it was changed', async () => {
    const container = sealTo(mine);
    const [slot] = parts(container).header.slots;
    if (slot === undefined) throw new Error('one slot');
    const box = slot.body.length - 128;
    for (const at of [0, 8, 45, 70, box, box + 47, box + 48, box + 127]) {
      const body = slot.body.map((byte, index) => (index === at ? byte ^ random.mask() : byte));
      expect(await sdkOpens(alter(container, { slots: [{ ...slot, body }] })), `byte ${at} of the body`).not.toBe('opened');
    }
  });
});

describe('what a third implementation made', () => {
  beforeAll(async () => {
    const tree = machineTree('bare-metal-nvme-nvidia')
      .set('/proc/cpuinfo', `processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: ${VALUES.cpu}\n`)
      .set('/proc/meminfo', 'MemTotal:       65699812 kB\n')
      .set('/sys/devices/pci0000:00/0000:00:01.1/0000:01:00.0/nvme/nvme0/serial', `${VALUES.drive}     \n`);
    useMachine(await tree.write());
  });

  it('opens', async () => {
    const target = newFile();
    writeFileSync(target, MACHINE_FILE);
    expect(await sdkOpens(await encrypt(plain, { recipients: [hardware(target)] }))).toBe('opened');
    expect(await sdkOpens(sealTo(parseMachineFile(ascii(MACHINE_FILE))))).toBe('opened');
    const sealed = newFile();
    writeFileSync(sealed, SEALED_KEY, { mode: 0o600 });
    const [scalar, seed] = [unhex(DEVICE_KEY).slice(0, 32), unhex(DEVICE_KEY).slice(32)];
    const publicKey = publicKeyText('mgd1', publicOf('x25519', scalar), publicOf('ed25519', seed));
    expect(String((await DeviceKey.fromFile(sealed)).publicKey)).toBe(publicKey);
  });
});

describe('a machine file', () => {
  it('of either is written alike', async () => {
    await standOn('sata-server');
    const { file, path: target } = await exported({});
    expect(Buffer.from(writeMachineFile(file))).toEqual(readFileSync(target));
  });

  it('of the reference is a recipient for the SDK', async () => {
    const target = newFile();
    const values = valuesOf('sata-server');
    writeFileSync(target, writeMachineFile(machineFor(values, { threshold: 4, required: ['drive'] })));
    const container = await encrypt(plain, { recipients: [hardware(target, { require: ['drive'], atLeast: 4 })] });
    expect(openContainer(container, [{ machine: { values } }]).files.size).toBe(1);
    for (const demand of [{ require: ['cpu'] as const }, { atLeast: 5 }])
      expect((await failureOf(() => encrypt(plain, { recipients: [hardware(target, demand)] }))).code).toBe(
        'MACHINE_POLICY_WEAK',
      );
  });
});
