import { type Command, Option } from 'commander';
import { ROLES } from '../../../contract/index.js';
import type { AccountRole } from '../../../index.js';
import { accountIdOf } from '../../account-id.js';
import type { Context } from '../../context.js';
import { addServerCommand, type CommandFlags } from '../../server-command.js';

interface Flags extends CommandFlags {
  readonly role?: AccountRole;
  readonly disable?: boolean;
  readonly enable?: boolean;
}

export function registerUpdate(users: Command, context: Context): void {
  const command = addServerCommand<Flags>(
    users,
    context,
    'update <ACCOUNT>',
    'change the role; disable or enable',
    async (guard, [given = ''], { role, disable, enable }, options) => {
      const disabled = disable ? true : enable ? false : undefined;
      const account = await guard.users.update(await accountIdOf(guard, given, options), { role, disabled }, options);
      return { value: account, text: `${account.email}: ${account.role}${account.disabled ? ', disabled' : ''}` };
    },
  );
  command
    .addOption(new Option('--role <ROLE>', 'what it may do').choices(ROLES))
    .option('--disable', 'no log-in any more')
    .option('--enable', 'log-in again');
}
