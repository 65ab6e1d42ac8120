import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { example } from '../../flags/common.js';
import { addGroup } from '../../server-command.js';
import { registerList } from './list.js';
import { registerPublishers } from './publishers.js';
import { registerReject } from './reject.js';
import { registerRevoke } from './revoke.js';
import { registerShow } from './show.js';

export function registerModels(program: Command, context: Context): void {
  const models = addGroup(program, 'models', 'model versions on the guard server: list, show, reject, revoke, publishers');
  registerList(models, context);
  registerShow(models, context);
  registerReject(models, context);
  registerRevoke(models, context);
  registerPublishers(models, context);
  example(models, 'model-guard models publishers defects --set mgs1:…', 'model-guard models list --state pending');
}
