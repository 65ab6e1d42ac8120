import { type Command, Option } from 'commander';
import { ROLES } from '../../../contract/index.js';
import { readLine } from '../../../files/files.js';
import type { AccountRole } from '../../../index.js';
import type { Context } from '../../context.js';
import { addServerCommand, type CommandFlags } from '../../server-command.js';

interface Flags extends CommandFlags {
  readonly role: AccountRole;
  readonly passwordFile: string;
  readonly name?: string;
}

export function registerCreate(users: Command, context: Context): void {
  const command = addServerCommand<Flags>(
    users,
    context,
    'create <EMAIL>',
    'create an account; hand its password over safely, and have its owner change it (password)',
    async (guard, [email = ''], { role, passwordFile, name }, options) => {
      const password = await readLine(passwordFile);
      const account = await guard.users.create({ email, password, role, ...(name !== undefined && { name }) }, options);
      return { value: account, text: account.id };
    },
  );
  command
    .addOption(new Option('--role <ROLE>', 'what it may do').choices(ROLES).makeOptionMandatory())
    .requiredOption('--password-file <FILE>', 'its first line is the first password')
    .option('--name <NAME>', 'of the person');
}
