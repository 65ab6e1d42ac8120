import type { Command } from 'commander';
import { exportMachine, fingerprint, type HardwareFingerprint } from '../../index.js';

import type { Context } from '../context.js';
import { example, usage, withForce, withJson } from '../flags/common.js';
import { machinePolicyOf, type PolicyFlags, withMachinePolicy } from '../flags/machine.js';
import { saltsText, strengthText, termsText } from '../machine-text.js';
import { columns } from '../text.js';

interface Flags extends PolicyFlags {
  readonly out?: string;
  readonly showValues?: boolean;
  readonly askTpm?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function registerFingerprint(program: Command, context: Context): void {
  const command = program
    .command('fingerprint')
    .description('show the factors that identify this machine, and the strength of each; with --out, export them for publishers')
    .option('--show-values', 'show what was read, too: the value that counts, and how people call it')
    .option('--ask-tpm', 'ask the TPM for its endorsement key, which can take seconds')
    .option('--out <FILE>', 'write a machine file, to which a publisher can encrypt (--machine FILE)');
  withJson(withForce(withMachinePolicy(command, 'never')));
  example(
    command,
    'model-guard fingerprint --show-values',
    'model-guard fingerprint --out machine.json --require drive --at-least 3',
  );
  command.action(async (flags: Flags) => {
    const { out, force: overwrite = false, showValues: values = false, json } = flags;
    const policy = machinePolicyOf(flags);
    if (policy && out === undefined) throw usage('The policy of a machine belongs to its export: give --out');
    const terms = out === undefined ? undefined : await exportMachine(out, { ...policy, overwrite });
    const tpm = flags.askTpm || terms?.factors.some(({ name }) => name === 'tpm');
    const found = await fingerprint({ values, tpm });
    context.print(
      json,
      { ...found, ...(terms && { machineFile: { file: out, ...terms } }) },
      [
        place(found),
        report(found),
        strengthText(found, terms),
        saltsText(found),
        ...(terms ? [`${out} opens with ${termsText(terms)}`] : []),
      ].join('\n\n'),
    );
  });
}

function place({ environment: { container, virtualMachine }, machineId }: HardwareFingerprint): string {
  const machine =
    virtualMachine === undefined ? 'Not a virtual machine, as far as can be told' : `A virtual machine (${virtualMachine})`;
  return `${machine}${container ? ', in a container' : ''}${machineId === undefined ? '' : `; machine-id ${machineId}, which never counts`}`;
}

function report({ factors }: HardwareFingerprint): string {
  const shown = factors.some(({ value }) => value !== undefined);
  return columns([
    ['FACTOR', 'QUALITY', 'WHY', 'SOURCE', ...(shown ? ['VALUE', 'LABEL'] : [])],
    ...factors.map(({ name, quality, why, source, needsRoot, value, label }) => [
      name,
      quality,
      why,
      needsRoot ? `${source} (root)` : source,
      ...(shown ? [value ?? '', label ?? ''] : []),
    ]),
  ]);
}
