import { type Command, Option } from 'commander';
import type { Device } from '../../../index.js';
import type { Context } from '../../context.js';
import { addServerCommand, type CommandFlags, table } from '../../server-command.js';

interface Flags extends CommandFlags {
  readonly state?: Device['state'];
}

const STATES = ['pending', 'approved', 'revoked'] as const;

export function registerList(devices: Command, context: Context): void {
  const command = addServerCommand<Flags>(
    devices,
    context,
    'list',
    'list the devices of this account, or all devices for an account that approves them',
    (guard, _args, { state }, options) =>
      table(guard.devices.list({ ...(state && { state }), ...options }), ['device', 'state', 'name', 'fingerprint'], (device) => [
        device.id,
        device.state,
        device.name,
        device.fingerprint,
      ]),
  );
  command.addOption(new Option('--state <STATE>', 'only these').choices(STATES));
}
