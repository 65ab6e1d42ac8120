import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { addServerCommand } from '../../server-command.js';

export function registerDelete(entitlements: Command, context: Context): void {
  addServerCommand(
    entitlements,
    context,
    'delete <ENTITLEMENT>',
    'delete an entitlement and revoke its leases',
    async (guard, [id = ''], _flags, options) => {
      await guard.entitlements.delete(id, options);
      return { value: {}, text: 'It is taken back' };
    },
  );
}
