import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { example } from '../../flags/common.js';
import { addGroup } from '../../server-command.js';
import { registerClear } from './clear.js';
import { registerList } from './list.js';
import { registerTrim } from './trim.js';

export function registerCache(program: Command, context: Context): void {
  const cache = addGroup(
    program,
    'cache',
    'the cache of this machine, of encrypted big parts and sealed artifacts: list, trim, clear',
  );
  registerList(cache, context);
  registerTrim(cache, context);
  registerClear(cache, context);
  example(cache, 'model-guard cache list', 'model-guard cache trim --max-bytes 10000000000');
}
