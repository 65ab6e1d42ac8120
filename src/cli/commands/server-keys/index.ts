import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { example } from '../../flags/common.js';
import { addGroup } from '../../server-command.js';
import { registerList } from './list.js';
import { registerRotate } from './rotate.js';
import { registerRotateSigning } from './rotate-signing.js';

export function registerServerKeys(program: Command, context: Context): void {
  const keys = addGroup(program, 'server-keys', "the guard server's keys: list, rotate, rotate-signing");
  registerList(keys, context);
  registerRotate(keys, context);
  registerRotateSigning(keys, context);
  example(keys, 'model-guard server-keys rotate', 'model-guard server-keys rotate-signing');
}
