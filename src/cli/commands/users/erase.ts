import type { Command } from 'commander';
import { accountIdOf } from '../../account-id.js';
import type { Context } from '../../context.js';
import { addServerCommand } from '../../server-command.js';
import { rows } from '../../text.js';

export function registerErase(users: Command, context: Context): void {
  addServerCommand(
    users,
    context,
    'erase <ACCOUNT>',
    'erase an account and the personal data about it; the audit log still verifies',
    async (guard, [given = ''], _flags, options) => {
      await guard.users.erase(await accountIdOf(guard, given, options), options);
      return { value: {}, text: rows([['erased', given]]) };
    },
  );
}
