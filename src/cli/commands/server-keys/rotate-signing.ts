import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { addServerCommand } from '../../server-command.js';
import { rows } from '../../text.js';

export function registerRotateSigning(keys: Command, context: Context): void {
  addServerCommand(
    keys,
    context,
    'rotate-signing',
    'replace the key that clients pin by one that the old key signs',
    async (guard, _args, _flags, options) => {
      const value = await guard.keys.rotateSigning(options);
      const facts = rows([
        ['key', value.key],
        ['fingerprint', value.fingerprint],
        ['before', value.previous],
      ]);
      return { value, text: `${facts}\nClients that pinned an earlier key follow it; new ones pin this one.` };
    },
  );
}
