import type { Command } from 'commander';
import { readLine } from '../../files/files.js';
import type { Context } from '../context.js';
import { example } from '../flags/common.js';
import { type ServerFlags, serverOf, withServer } from '../flags/server.js';

interface Flags extends ServerFlags {
  readonly new: string;
  readonly current: string;
}

export function registerPassword(program: Command, context: Context): void {
  const command = program
    .command('password')
    .description('change the password of this account')
    .requiredOption('--current <FILE>', 'file with the password as it is')
    .requiredOption('--new <FILE>', 'file with the new one, at least 12 characters');
  withServer(command);
  example(command, 'model-guard password --current old.txt --new new.txt');
  command.action(async (flags: Flags) => {
    const guard = await serverOf(flags);
    await guard.account.changePassword(await readLine(flags.current), await readLine(flags.new), { signal: context.signal });
    context.print(false, {}, 'The password is changed. Put the new one where your credentials are read from.');
  });
}
