import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { DEFAULT_MAX_BYTES } from '../../sdk.js';
import { addCacheCommand, removed } from './cache-command.js';

export function registerTrim(cache: Command, context: Context): void {
  const command = addCacheCommand(
    cache,
    context,
    'trim',
    'remove the least recently used entries, down to a size',
    async (opened) => removed(opened, await opened.trim()),
  );
  command.option('--max-bytes <N>', 'how much may stay', String(DEFAULT_MAX_BYTES));
}
