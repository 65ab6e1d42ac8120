import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { addServerCommand, table } from '../../server-command.js';
import { formatBytes } from '../../text.js';

export function registerList(archives: Command, context: Context): void {
  addServerCommand(archives, context, 'list', 'list all archives', (guard, _args, _flags, options) =>
    table(guard.archives.list(options), ['archive', 'format', 'size', 'SHA-256'], (archive) => [
      archive.name,
      archive.format,
      formatBytes(archive.size),
      archive.sha256,
    ]),
  );
}
