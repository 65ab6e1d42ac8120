import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { type ReviewFlags, reviewedPayload, withPayload } from '../../flags/review.js';
import { addServerCommand, type CommandFlags } from '../../server-command.js';

export function registerReject(models: Command, context: Context): void {
  const command = addServerCommand<CommandFlags & ReviewFlags>(
    models,
    context,
    'reject <NAME@VERSION>',
    'reject a pending version',
    async (guard, [ref = ''], flags, options) => {
      const payloadId = await reviewedPayload(guard, ref, flags, options);
      const value = await guard.reject(ref, { payloadId, ...options });
      return { value, text: `${value.name}@${value.version} is rejected` };
    },
  );
  withPayload(command);
}
