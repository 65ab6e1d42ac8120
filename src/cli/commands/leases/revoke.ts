import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { addServerCommand } from '../../server-command.js';

export function registerRevoke(leases: Command, context: Context): void {
  addServerCommand(
    leases,
    context,
    'revoke <LEASE>',
    'end a lease and free its seat',
    async (guard, [id = ''], _flags, options) => {
      await guard.leases.revoke(id, options);
      return { value: {}, text: 'It is revoked; a device that is offline may use it until its offline-until' };
    },
  );
}
