import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { addServerCommand } from '../../server-command.js';

export function registerRevoke(devices: Command, context: Context): void {
  addServerCommand(
    devices,
    context,
    'revoke <DEVICE>',
    'end a device and its leases, for good',
    async (guard, [id = ''], _flags, options) => {
      const device = await guard.devices.revoke(id, options);
      return { value: device, text: `${device.name} is revoked` };
    },
  );
}
