import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { example } from '../../flags/common.js';
import { addGroup } from '../../server-command.js';
import { registerDelete } from './delete.js';
import { registerList } from './list.js';
import { registerRegister } from './register.js';

export function registerArchives(program: Command, context: Context): void {
  const archives = addGroup(program, 'archives', 'encrypted archives on clients: list, register, delete');
  registerList(archives, context);
  registerRegister(archives, context);
  registerDelete(archives, context);
  example(archives, 'model-guard archives register images.tar.mguard --name images --master-key images.key');
}
