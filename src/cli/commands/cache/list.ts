import type { Command } from 'commander';
import type { Context } from '../../context.js';
import type { EntryName } from '../../sdk.js';
import { columns, formatBytes, timeText } from '../../text.js';
import { addCacheCommand, entryOf } from './cache-command.js';

export function registerList(cache: Command, context: Context): void {
  addCacheCommand(cache, context, 'list', 'list the entries, the last used first', async (opened) => {
    const entries = (await opened.list()).map(entryOf);
    return { value: entries, text: entries.length === 0 ? 'None.' : table(entries) };
  });
}

const nameOf = (entry: EntryName): readonly string[] =>
  'derived' in entry ? [entry.derived.slice(0, 16), 'derived'] : [entry.digest.slice(0, 16), String(entry.offset)];

const table = (entries: readonly ReturnType<typeof entryOf>[]): string =>
  columns([
    ['payload', 'from byte', 'size', 'used'],
    ...entries.map((entry) => [...nameOf(entry), formatBytes(entry.size), timeText(entry.used)]),
  ]);
