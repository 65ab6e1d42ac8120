import type { Command } from 'commander';
import { MasterKey } from '../../../index.js';
import { LegacyKey } from '../../../legacy/index.js';

import type { Context } from '../../context.js';
import { usage } from '../../flags/common.js';
import { addServerCommand, type CommandFlags } from '../../server-command.js';
import { formatBytes } from '../../text.js';

interface Flags extends CommandFlags {
  readonly name?: string;
  readonly masterKey?: string;
  readonly keyStringFile?: string;
}

export function registerRegister(archives: Command, context: Context): void {
  const command = addServerCommand<Flags>(
    archives,
    context,
    'register <ARCHIVE>',
    'register the digest of an archive, and its key sealed to the server; the file is not sent',
    async (guard, [path = ''], { name, ...flags }, options) => {
      const key = await keyOf(flags);
      const value = await guard.archives.register(path, {
        key,
        ...(name !== undefined && { name }),
        ...options,
        ...context.run(),
      });
      return { value, text: `${value.name} is registered (${value.format}, ${formatBytes(value.size)})` };
    },
  );
  command
    .option('--name <N>', 'its name (default: the file name)')
    .option('--master-key <FILE>', 'the master key that a container was encrypted to')
    .option('--key-string-file <FILE>', 'the key string of a legacy archive');
}

function keyOf({ masterKey, keyStringFile }: Flags): Promise<MasterKey | LegacyKey> {
  if (masterKey !== undefined && keyStringFile === undefined) return MasterKey.fromFile(masterKey);
  if (masterKey === undefined && keyStringFile !== undefined) return LegacyKey.fromKeyString({ file: keyStringFile });
  throw usage('Give exactly one of --master-key, --key-string-file');
}
