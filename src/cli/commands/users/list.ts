import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { addServerCommand, table } from '../../server-command.js';

export function registerList(users: Command, context: Context): void {
  addServerCommand(users, context, 'list', 'list all accounts', (guard, _args, _flags, options) =>
    table(guard.users.list(options), ['account', 'role', 'e-mail', 'name', ''], (account) => [
      account.id,
      account.role,
      account.email,
      account.name ?? '',
      account.disabled ? 'disabled' : '',
    ]),
  );
}
