import type { Command } from 'commander';
import { accountIdOf } from '../../account-id.js';
import type { Context } from '../../context.js';
import { addServerCommand } from '../../server-command.js';

export function registerExport(users: Command, context: Context): void {
  addServerCommand(
    users,
    context,
    'export <ACCOUNT>',
    'export all stored data about a person',
    async (guard, [given = ''], _flags, options) => {
      const value = await guard.users.export(await accountIdOf(guard, given, options), options);
      return { value, text: JSON.stringify(value, undefined, 2) };
    },
  );
}
