import { type Command, Option } from 'commander';
import type { ModelVersion } from '../../../index.js';
import type { Context } from '../../context.js';
import { addServerCommand, type CommandFlags, table } from '../../server-command.js';
import { formatBytes, timeText } from '../../text.js';

interface Flags extends CommandFlags {
  readonly state?: ModelVersion['state'];
  readonly name?: string;
}

const STATES = ['pending', 'released', 'rejected', 'revoked'] as const;

export function registerList(models: Command, context: Context): void {
  const command = addServerCommand<Flags>(models, context, 'list', 'list versions', (guard, _args, { state, name }, options) =>
    table(
      guard.models.list({ ...(state && { state }), ...(name !== undefined && { name }), ...options }),
      ['version', 'state', 'big part', 'published'],
      (one) => [`${one.name}@${one.version}`, one.state, formatBytes(one.bigBytes), timeText(one.created)],
    ),
  );
  command.addOption(new Option('--state <STATE>', 'only these').choices(STATES)).option('--name <N>', 'only of this model');
}
