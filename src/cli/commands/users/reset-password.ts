import { randomInt } from 'node:crypto';
import type { Command } from 'commander';
import { readLine } from '../../../files/files.js';
import { accountIdOf } from '../../account-id.js';
import type { Context } from '../../context.js';
import { addServerCommand, type CommandFlags } from '../../server-command.js';

interface Flags extends CommandFlags {
  readonly passwordFile?: string;
}

export function registerResetPassword(users: Command, context: Context): void {
  const command = addServerCommand<Flags>(
    users,
    context,
    'reset-password <ACCOUNT>',
    'give a one-time password, shown once, that must be changed before anything else; ends the log-ins and the lock-out of the account',
    async (guard, [given = ''], { passwordFile }, options) => {
      const password = passwordFile === undefined ? oneTimePassword() : await readLine(passwordFile);
      const account = await guard.users.resetPassword(await accountIdOf(guard, given, options), password, options);
      if (passwordFile !== undefined)
        return { value: account, text: `${account.email} must change the password of the file first` };
      context.note(`Hand it over safely; ${account.email} must change it first (model-guard password). It is shown only now:`);
      return { value: { ...account, password }, text: password };
    },
  );
  command.option('--password-file <FILE>', 'its first line is the one-time password (default: a random one)');
}

/** 80 bits, in groups that can be read out. */
const oneTimePassword = (): string => Array.from({ length: 6 }, () => String(randomInt(10_000)).padStart(4, '0')).join('-');
