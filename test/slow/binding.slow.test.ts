/**
 * A model bound to a machine opens there after every disturbance, and on no other machine. Where factors changed, exactly those
 * combinations open that the policy allows: each factor alone, and all pairs.
 */
import { describe, expect, it } from 'vitest';
import type { MachineFactor, MachinePolicy } from '../../src/index.js';
import { bindTo, openOn } from '../support/bound.js';
import { useMachine } from '../support/machine-addon.js';
import { disturbancesOf, machineNames, machineTree } from '../support/machine-tree.js';
import { scaled } from '../support/sample.js';

useMachine('/nowhere');
const SLOW = 300_000;

describe.each(machineNames)('a model bound to %s', (name) => {
  const disturbances = disturbancesOf(name);

  it(
    `opens there, and after ${disturbances.join(', ')}`,
    async () => {
      const container = await bindTo(machineTree(name));
      expect(await openOn(machineTree(name), container)).toBe('OK');
      for (const edit of disturbances) expect(await openOn(machineTree(name).edit(edit), container), edit).toBe('OK');
    },
    SLOW,
  );

  it(
    'opens on no other machine',
    async () => {
      const container = await bindTo(machineTree(name));
      for (const other of machineNames.filter((one) => one !== name))
        expect(await openOn(machineTree(other), container), other).toBe('HARDWARE_MISMATCH');
    },
    SLOW,
  );
});

const USUAL: readonly MachineFactor[] = ['cpu', 'gpu', 'memory', 'drive'];

/** Whether the factors that stayed as they were are enough: the rule of docs/format.md section 12, in its plainest form. */
function allows(
  { factors = USUAL, require = [], atLeast = 0, weights = {} }: MachinePolicy,
  same: readonly MachineFactor[],
): boolean {
  const counting = [...new Set([...factors, ...require])].filter((factor) => same.includes(factor));
  const weight = counting.reduce((sum, factor) => sum + (weights[factor] ?? 1), 0);
  return require.every((factor) => same.includes(factor)) && weight >= atLeast;
}

// The first ones are those that a shorter run keeps.
const POLICIES: readonly [string, MachinePolicy][] = [
  ['the drive and two more', { require: ['drive'], atLeast: 3 }],
  ['the drive counts twice', { require: [], weights: { drive: 2 }, atLeast: 3 }],
  ['k = n', { require: [], atLeast: 4 }],
  ['k = 1', { require: [], atLeast: 1 }],
  ['any three', { require: [], atLeast: 3 }],
  ['the drive is required, and enough', { require: ['drive'], atLeast: 1 }],
  ['the drive outweighs all others', { require: [], weights: { drive: 3 }, atLeast: 3 }],
  ['two factors only', { factors: ['cpu', 'drive'], require: [], atLeast: 2 }],
  ['the product UUID takes part', { factors: [...USUAL, 'uuid'], require: ['uuid'], atLeast: 4 }],
];
const policies = POLICIES.slice(0, scaled(POLICIES.length, 4));
const machines = ['bare-metal-nvme-nvidia', 'sata-server'].slice(0, scaled(2, 1));

/** Nothing, each one, all pairs. */
const changes = (factors: readonly MachineFactor[]): MachineFactor[][] => [
  [],
  ...factors.map((one) => [one]),
  ...factors.flatMap((one, at) => factors.slice(at + 1).map((other) => [one, other])),
];

/** Binds to `name` and looks what opens after every change. */
async function checkPolicy(name: string, policy: MachinePolicy | undefined, rule: MachinePolicy): Promise<void> {
  const container = await bindTo(machineTree(name), policy);
  for (const changed of changes(rule.factors?.includes('uuid') ? [...USUAL, 'uuid'] : USUAL)) {
    const tree = machineTree(name);
    for (const factor of changed) tree.edit(`other-${factor}`);
    const same = [...USUAL, 'uuid' as const].filter((factor) => !changed.includes(factor));
    const expected = allows(rule, same) ? 'OK' : 'HARDWARE_MISMATCH';
    expect(await openOn(tree, container), `changed: ${changed.join(' and ') || 'nothing'}`).toBe(expected);
  }
}

describe.each(machines)('on %s', (name) => {
  it.each(policies)('exactly what the policy allows opens: %s', (_, policy) => checkPolicy(name, policy, policy), SLOW);
});

describe('by default', () => {
  const rule: MachinePolicy = { require: ['drive'], atLeast: 3 };
  it('a strong drive is required, and one other part may change', () => checkPolicy('sata-server', undefined, rule), SLOW);

  it(
    'no part may change where none is strong',
    async () => {
      const container = await bindTo(machineTree('vm-virtio'));
      for (const factor of USUAL)
        expect(await openOn(machineTree('vm-virtio').edit(`other-${factor}`), container), factor).toBe('HARDWARE_MISMATCH');
    },
    SLOW,
  );
});
