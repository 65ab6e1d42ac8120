import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { columns, formatBytes, timeText } from '../../text.js';
import { addCacheCommand, entryOf } from './cache-command.js';

export function registerList(cache: Command, context: Context): void {
  addCacheCommand(cache, context, 'list', 'list the cached parts, the last used first', async (opened) => {
    const entries = (await opened.list()).map(entryOf);
    return { value: entries, text: entries.length === 0 ? 'None.' : table(entries) };
  });
}

const table = (entries: readonly ReturnType<typeof entryOf>[]): string =>
  columns([
    ['payload', 'from byte', 'size', 'used'],
    ...entries.map(({ digest, offset, size, used }) => [digest.slice(0, 16), String(offset), formatBytes(size), timeText(used)]),
  ]);
