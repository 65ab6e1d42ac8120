import type { Command } from 'commander';
import { exportMachine } from '../../export-machine.js';
import { fingerprint } from '../../fingerprint.js';
import type { HardwareFingerprint } from '../../types.js';
import type { Context } from '../context.js';
import { example, usage, withForce, withJson } from '../flags.js';
import { machinePolicyOf, type PolicyFlags, withMachinePolicy } from '../machine-flags.js';
import { saltsText, strengthText, termsText } from '../machine-text.js';
import { columns } from '../output.js';

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
    .description('show what this machine can be told by, and how good each part is; with --out, export it for publishers')
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
    if (policy && out === undefined) throw usage('What a machine must show is asked for where it is exported: give --out');
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
