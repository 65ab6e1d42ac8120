import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { example } from '../../flags/common.js';
import { addGroup } from '../../server-command.js';
import { registerCreate } from './create.js';
import { registerErase } from './erase.js';
import { registerExport } from './export.js';
import { registerList } from './list.js';
import { registerResetPassword } from './reset-password.js';
import { registerUpdate } from './update.js';

export function registerUsers(program: Command, context: Context): void {
  const users = addGroup(
    program,
    'users',
    'accounts, by id or e-mail address: list, create, update, reset-password, export, erase',
  );
  registerList(users, context);
  registerCreate(users, context);
  registerUpdate(users, context);
  registerResetPassword(users, context);
  registerExport(users, context);
  registerErase(users, context);
  example(users, 'model-guard users create ada@example.com --role operator --password-file first.txt');
}
