import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { addServerCommand, table } from '../../server-command.js';

const HEAD = ['entitlement', 'what', 'account', 'device', 'seats', 'lease', 'offline'];

export function registerList(entitlements: Command, context: Context): void {
  addServerCommand(entitlements, context, 'list', 'list all entitlements', (guard, _args, _flags, options) =>
    table(guard.entitlements.list(options), HEAD, (entitlement) => [
      entitlement.id,
      `${entitlement.kind} ${entitlement.name}`,
      entitlement.account,
      entitlement.device ?? 'any',
      String(entitlement.seats),
      `${entitlement.leaseSeconds} s`,
      `${entitlement.offlineSeconds} s`,
    ]),
  );
}
