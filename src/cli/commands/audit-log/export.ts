import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { addServerCommand, type CommandFlags } from '../../server-command.js';
import { type OutFlags, withOut, writePieces } from './out-file.js';

export function registerExport(log: Command, context: Context): void {
  const command = addServerCommand<CommandFlags & OutFlags>(
    log,
    context,
    'export',
    'export all events, as they are stored',
    async (guard, _args, flags, options) => {
      const { out } = flags;
      await writePieces(flags, guard.audit.export(options));
      return { value: { out }, text: out };
    },
  );
  withOut(command);
}
