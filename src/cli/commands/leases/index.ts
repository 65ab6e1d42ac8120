import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { example } from '../../flags/common.js';
import { addGroup } from '../../server-command.js';
import { registerList } from './list.js';
import { registerRevoke } from './revoke.js';

export function registerLeases(program: Command, context: Context): void {
  const leases = addGroup(program, 'leases', 'leases that the server gave to devices: list, revoke');
  registerList(leases, context);
  registerRevoke(leases, context);
  example(leases, 'model-guard leases list --active');
}
