import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { addServerCommand, type CommandFlags, table } from '../../server-command.js';
import { timeText } from '../../text.js';

interface Flags extends CommandFlags {
  readonly active?: boolean;
}

const HEAD = ['lease', 'model', 'device', 'until', 'offline until', 'seat until', ''];

export function registerList(leases: Command, context: Context): void {
  const command = addServerCommand<Flags>(leases, context, 'list', 'list all leases', (guard, _args, { active }, options) =>
    table(guard.leases.list({ ...(active && { active }), ...options }), HEAD, (lease) => [
      lease.id,
      `${lease.name}@${lease.version}`,
      lease.device,
      timeText(lease.notAfter),
      timeText(lease.offlineUntil),
      timeText(lease.seatUntil ?? lease.notAfter),
      lease.revoked ? 'revoked' : '',
    ]),
  );
  command.option('--active', 'only leases that hold a seat');
}
