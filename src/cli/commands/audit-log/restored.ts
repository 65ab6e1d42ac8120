import type { Command } from 'commander';
import { refuseExisting } from '../../../files/files.js';
import type { Context } from '../../context.js';
import { numberOf } from '../../flags/common.js';
import { addServerCommand, type CommandFlags } from '../../server-command.js';
import { rows } from '../../text.js';
import { type OutFlags, withOut, writeJson } from './out-file.js';

interface Flags extends CommandFlags, OutFlags {
  readonly event: string;
  readonly head: string;
}

export function registerRestored(log: Command, context: Context): void {
  const command = addServerCommand<Flags>(
    log,
    context,
    'restored',
    'after a restore: have the server sign that its log goes on from what it holds now',
    async (guard, _args, flags, options) => {
      const { event, head, out, force } = flags;
      if (!force) await refuseExisting(out);
      const { statement, fingerprint } = await guard.audit.stateRestored({ seq: numberOf(event), head }, options);
      await writeJson(flags, statement);
      const facts = rows([
        ['statement', out],
        ['fingerprint', fingerprint],
      ]);
      return {
        value: { out, fingerprint },
        text: `${facts}\nGive the fingerprint to the administrators of the devices over another way than the network.`,
      };
    },
  );
  command
    .requiredOption('--event <N>', 'the newest event that was lost, as a device reports it')
    .requiredOption('--head <HEX>', 'the head of the lost log after that event, 96 hex digits');
  withOut(command);
}
