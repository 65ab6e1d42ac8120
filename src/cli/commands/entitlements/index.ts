import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { example } from '../../flags/common.js';
import { addGroup } from '../../server-command.js';
import { registerCreate } from './create.js';
import { registerDelete } from './delete.js';
import { registerList } from './list.js';

export function registerEntitlements(program: Command, context: Context): void {
  const entitlements = addGroup(program, 'entitlements', 'rights of accounts to load models: list, create, delete');
  registerList(entitlements, context);
  registerCreate(entitlements, context);
  registerDelete(entitlements, context);
  example(entitlements, 'model-guard entitlements create defects --account ada@example.com --seats 5');
}
