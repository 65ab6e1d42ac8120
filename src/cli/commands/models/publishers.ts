import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { collect } from '../../flags/common.js';
import { addServerCommand, type CommandFlags } from '../../server-command.js';

interface Flags extends CommandFlags {
  readonly set?: readonly string[];
}

export function registerPublishers(models: Command, context: Context): void {
  const command = addServerCommand<Flags>(
    models,
    context,
    'publishers <NAME>',
    'list or set the keys that may sign versions of a model',
    async (guard, [name = ''], { set }, options) => {
      const value = set ? await guard.publishers.set(name, set, options) : await guard.publishers.get(name, options);
      return { value, text: value.join('\n') || 'None: nothing can be published under this name.' };
    },
  );
  command.option('--set <K>', 'mgs1:…, in the place of the registered keys; repeat for more', collect);
}
