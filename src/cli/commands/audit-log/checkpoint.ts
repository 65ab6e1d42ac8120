import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { addServerCommand, type CommandFlags } from '../../server-command.js';
import { rows } from '../../text.js';
import { type OutFlags, withOut, writeJson } from './out-file.js';

export function registerCheckpoint(log: Command, context: Context): void {
  const command = addServerCommand<CommandFlags & OutFlags>(
    log,
    context,
    'checkpoint',
    'get a signed position of the log, to keep outside the server',
    async (guard, _args, flags, options) => {
      const { out } = flags;
      const checkpoint = await guard.audit.checkpoint(options);
      // A later verification needs this key, and has no server to ask for it.
      const { auditKey } = await guard.server(options);
      await writeJson(flags, checkpoint);
      const text = rows([
        ['checkpoint', out],
        ['audit key', auditKey],
      ]);
      return { value: { out, auditKey }, text };
    },
  );
  withOut(command);
}
