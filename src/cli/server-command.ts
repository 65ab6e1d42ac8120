/** Adds commands of two words (`devices approve`), each of which asks the guard server and shows the answer. */
import type { Command } from 'commander';
import type { GuardServer } from '../index.js';
import type { Context } from './context.js';
import { withJson } from './flags/common.js';
import { type ServerFlags, serverOf, withServer } from './flags/server.js';
import { columns } from './text.js';

export interface CommandFlags extends ServerFlags {
  readonly json?: boolean;
}
/** Asks the server. `args` are the positional arguments of the command. */
type Ask<Flags> = (
  guard: GuardServer,
  args: readonly string[],
  flags: Flags,
  options: { signal: AbortSignal },
) => Promise<Result>;
/** The answer, for machines and for people. */
export interface Result {
  readonly value: unknown;
  readonly text: string;
}

/** Adds a group, to which {@link addServerCommand} adds commands. */
export const addGroup = (program: Command, name: string, description: string): Command =>
  program.command(name).description(description);

export function addServerCommand<Flags extends CommandFlags>(
  parent: Command,
  context: Context,
  usage: string,
  description: string,
  ask: Ask<Flags>,
): Command {
  const [name, ...args] = usage.split(' ');
  const command = parent.command(name ?? '').description(description);
  for (const argument of args) command.argument(argument);
  withJson(withServer(command));
  return command.action(async (...given: unknown[]) => {
    const flags = given[args.length] as Flags;
    const { value, text } = await ask(await serverOf(flags), given.slice(0, args.length) as string[], flags, {
      signal: context.signal,
    });
    context.print(flags.json, value, text);
  });
}

/** Reads all pages of a list into a table. */
export async function table<Item>(
  items: AsyncIterable<Item>,
  head: readonly string[],
  row: (item: Item) => readonly string[],
): Promise<Result> {
  const value: Item[] = [];
  for await (const item of items) value.push(item);
  return { value, text: value.length === 0 ? 'None.' : columns([head, ...value.map(row)]) };
}
