import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { factsOf } from '../../flags/review.js';
import { addServerCommand } from '../../server-command.js';

export function registerShow(models: Command, context: Context): void {
  addServerCommand(models, context, 'show <NAME@VERSION>', 'show one version', async (guard, [ref = ''], _flags, options) => {
    const value = await guard.models.get(ref, options);
    return { value, text: factsOf(value) };
  });
}
