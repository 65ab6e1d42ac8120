import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { numberOf } from '../../flags/common.js';
import { addServerCommand, type CommandFlags } from '../../server-command.js';

interface Flags extends CommandFlags {
  readonly acceptSeconds?: string;
}

export function registerRotate(keys: Command, context: Context): void {
  const command = addServerCommand<Flags>(
    keys,
    context,
    'rotate',
    'wrap every small part to a new key, while the server goes on',
    async (guard, _args, { acceptSeconds }, options) => {
      const value = await guard.keys.rotate({
        ...(acceptSeconds !== undefined && { acceptSeconds: numberOf(acceptSeconds) }),
        ...options,
      });
      return { value, text: `${value.total} small parts go to ${value.to}\n${value.notice}` };
    },
  );
  command.option('--accept-seconds <N>', 'publications to the old key are accepted for so long (default: a day)');
}
