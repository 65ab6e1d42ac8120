import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { addCacheCommand, removed } from './cache-command.js';

export function registerClear(cache: Command, context: Context): void {
  addCacheCommand(cache, context, 'clear', 'remove everything', async (opened) => removed(opened, await opened.clear()));
}
