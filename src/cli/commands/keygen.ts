import { type Command, Option } from 'commander';
import { DeviceKey, MasterKey, SigningKey } from '../../index.js';
import type { Context } from '../context.js';
import { example, usage, withJson } from '../flags/common.js';
import { machinePolicyOf, type PolicyFlags, withMachinePolicy } from '../flags/machine.js';
import { termsText } from '../machine-text.js';
import { writeSaltsFile } from '../sdk.js';

const KINDS = { master: MasterKey, device: DeviceKey, signing: SigningKey } as const;

interface Flags extends PolicyFlags {
  readonly type: keyof typeof KINDS | 'salts';
  readonly out: string;
  readonly sealed?: boolean;
  readonly json?: boolean;
}

export function registerKeygen(program: Command, context: Context): void {
  const command = program
    .command('keygen')
    .description('make a key file (mode 0600; never replaces a file) and print its public part, if it has one')
    .addOption(
      new Option('--type <TYPE>', 'what the key is for; salts: of an own build (MODEL_GUARD_SALTS)')
        .choices([...Object.keys(KINDS), 'salts'])
        .default('master'),
    )
    .requiredOption('--out <FILE>', 'the key file to write')
    .option('--sealed', 'seal a device key to this machine: its file opens nowhere else');
  withJson(withMachinePolicy(command, 'when-usable, with --sealed'));
  example(
    command,
    'model-guard keygen --type signing --out publisher.key',
    'model-guard keygen --type device --sealed --out device.key',
  );
  command.action(async (flags: Flags) => {
    const { type, out, sealed, json } = flags;
    const policy = machinePolicyOf(flags);
    if (policy && !sealed) throw usage('The policy of a machine belongs to a sealed key: give --sealed');
    if (sealed && type !== 'device') throw usage('--sealed is for device keys: give --type device');
    if (type === 'salts') {
      await writeSaltsFile(out);
      return context.print(json, { type, file: out }, `${out}: salts of an organisation; build with MODEL_GUARD_SALTS=${out}`);
    }
    const key = sealed ? await DeviceKey.generate({ ...policy, path: out }) : KINDS[type].generate();
    if (!sealed) await key.save(out);
    const { publicKey } = key.toJSON();
    const sealedTo = key.type === 'device' ? key.sealedTo : undefined;
    if (sealedTo) context.note(`${out} opens on this machine alone, with ${termsText(sealedTo)}`);
    context.print(
      json,
      { type, file: out, ...(publicKey && { publicKey }), ...(sealedTo && { sealedTo }) },
      publicKey ?? `${out}: a master key, which has no public part`,
    );
  });
}
