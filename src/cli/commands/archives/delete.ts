import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { addServerCommand } from '../../server-command.js';

export function registerDelete(archives: Command, context: Context): void {
  addServerCommand(
    archives,
    context,
    'delete <NAME>',
    'forget an archive and its key',
    async (guard, [name = ''], _flags, options) => {
      await guard.archives.delete(name, options);
      return { value: {}, text: `${name} is forgotten: it cannot be unlocked any more` };
    },
  );
}
