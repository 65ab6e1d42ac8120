import type { Command } from 'commander';
import { accountIdOf } from '../../account-id.js';
import type { Context } from '../../context.js';
import { numberOf } from '../../flags/common.js';
import { addServerCommand, type CommandFlags } from '../../server-command.js';

interface Flags extends CommandFlags {
  readonly account: string;
  readonly device?: string;
  readonly archive?: boolean;
  readonly seats?: string;
  readonly leaseSeconds?: string;
  readonly offlineSeconds?: string;
}

export function registerCreate(entitlements: Command, context: Context): void {
  const command = addServerCommand<Flags>(
    entitlements,
    context,
    'create <NAME>',
    'let an account, or one of its devices, load a model or unlock an archive',
    async (guard, [name = ''], flags, options) => {
      const kind = flags.archive ? 'archive' : 'model';
      const account = await accountIdOf(guard, flags.account, options);
      for await (const other of guard.entitlements.list({ account, name, ...options }))
        if (other.kind === kind)
          context.note(
            `This account has an entitlement to ${name} already, which goes on: take it back if the new one is to count alone (\`model-guard entitlements delete ${other.id}\`).`,
          );
      const entitlement = await guard.entitlements.create(
        {
          name,
          kind,
          account,
          device: flags.device,
          seats: optionalNumber(flags.seats),
          leaseSeconds: optionalNumber(flags.leaseSeconds),
          offlineSeconds: optionalNumber(flags.offlineSeconds),
        },
        options,
      );
      const { seats, leaseSeconds } = entitlement;
      return {
        value: entitlement,
        text: `${flags.account} may load ${entitlement.name}: ${seats} ${seats === 1 ? 'seat' : 'seats'}, ${leaseSeconds} s a lease`,
      };
    },
  );
  command
    .requiredOption('--account <A>', 'the account of the devices: its id or e-mail address')
    .option('--device <ID>', 'only this device of the account')
    .option('--archive', 'NAME is an archive, not a model')
    .option('--seats <N>', 'devices at the same time (default: 1)')
    .option('--lease-seconds <N>', 'how long a lease lasts (default: a day)')
    .option('--offline-seconds <N>', 'how long it opens without the server (default: an hour)');
}

const optionalNumber = (text: string | undefined) => (text === undefined ? undefined : numberOf(text));
