import type { Command } from 'commander';
import type { Context } from '../../context.js';
import type { ReviewFlags } from '../../flags/review.js';
import { addServerCommand, type CommandFlags } from '../../server-command.js';

export function registerRevoke(models: Command, context: Context): void {
  const command = addServerCommand<CommandFlags & ReviewFlags>(
    models,
    context,
    'revoke <NAME@VERSION>',
    'revoke a version and its leases',
    async (guard, [ref = ''], { payload }, options) => {
      const value = await guard.revoke(ref, { ...(payload !== undefined && { payloadId: payload }), ...options });
      return { value, text: `${value.name}@${value.version} is revoked` };
    },
  );
  command.option('--payload <ID>', 'only if this payload is there (default: whatever is there now)');
}
