import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { example } from '../../flags/common.js';
import { addGroup } from '../../server-command.js';
import { registerShow } from './show.js';

export function registerKey(program: Command, context: Context): void {
  const key = addGroup(program, 'key', 'key files: show');
  registerShow(key, context);
  example(key, 'model-guard key show device.key');
}
