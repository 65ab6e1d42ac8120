import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { addServerCommand, type CommandFlags } from '../../server-command.js';

interface Flags extends CommandFlags {
  readonly fingerprint: string;
}

export function registerApprove(devices: Command, context: Context): void {
  const command = addServerCommand<Flags>(
    devices,
    context,
    'approve <DEVICE>',
    'let a device take leases; compare the fingerprint that it printed first',
    async (guard, [id = ''], { fingerprint }, options) => {
      const device = await guard.devices.approve(id, fingerprint, options);
      return { value: device, text: `${device.name} is approved` };
    },
  );
  command.requiredOption('--fingerprint <F>', 'as the device printed it (enroll)');
}
