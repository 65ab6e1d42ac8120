import { type Command, Option } from 'commander';
import { DeviceKey, MasterKey, SigningKey } from '../../keys/secret.js';
import type { Context } from '../context.js';
import { example, withJson } from '../flags.js';

const KINDS = { master: MasterKey, device: DeviceKey, signing: SigningKey } as const;

interface Flags {
  readonly type: keyof typeof KINDS;
  readonly out: string;
  readonly json?: boolean;
}

export function registerKeygen(program: Command, context: Context): void {
  const command = program
    .command('keygen')
    .description('make a key file (0600; an existing one is never replaced) and print its public part, if it has one')
    .addOption(new Option('--type <TYPE>', 'what the key is for').choices(Object.keys(KINDS)).default('master'))
    .requiredOption('--out <FILE>', 'the key file to write')
    .action(async ({ type, out, json }: Flags) => {
      const key = KINDS[type].generate();
      await key.save(out);
      const { publicKey } = key.toJSON();
      context.print(
        json,
        { type, file: out, ...(publicKey && { publicKey }) },
        publicKey ?? `${out}: a master key, which has no public part`,
      );
    });
  example(withJson(command), 'model-guard keygen --type signing --out publisher.key');
}
