import type { Command } from 'commander';
import type { Context } from '../../context.js';
import { addServerCommand } from '../../server-command.js';
import { rows, timeText } from '../../text.js';

export function registerList(keys: Command, context: Context): void {
  addServerCommand(keys, context, 'list', 'list encryption keys and rotations', async (guard, _args, _flags, options) => {
    const value = await guard.keys.list(options);
    const lines = value.keys.map(
      ({ key, state, until }) => [state, `${key}${until ? `  until ${timeText(until)}` : ''}`] as const,
    );
    const rotations = value.rotations.map(
      ({ done, total, state, started }) => [`rotation ${state}`, `${done} of ${total}, ${timeText(started)}`] as const,
    );
    return { value, text: rows([...lines, ...rotations]) };
  });
}
