/** Commands of two words (`devices approve`): each asks the guard server one thing and shows the answer. */
import type { Command } from 'commander';
import type { GuardServer } from '../remote/guard-server.js';
import type { Context } from './context.js';
import { withJson } from './flags.js';
import { columns } from './output.js';
import { type ServerFlags, serverOf, withServer } from './server-flags.js';

export interface AskFlags extends ServerFlags {
  readonly json?: boolean;
}
/** What one command of a group asks. `args` are its positional arguments. */
type Ask<Flags> = (guard: GuardServer, args: readonly string[], flags: Flags, options: { signal: AbortSignal }) => Promise<Shown>;
/** The answer, for machines and for people. */
export interface Shown {
  readonly value: unknown;
  readonly text: string;
}

/** A group to which {@link subcommand} adds. */
export const group = (program: Command, name: string, description: string): Command =>
  program.command(name).description(description);

export function subcommand<Flags extends AskFlags>(
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

/** All of a list that pages, as a table. */
export async function table<Item>(
  items: AsyncIterable<Item>,
  head: readonly string[],
  row: (item: Item) => readonly string[],
): Promise<Shown> {
  const value: Item[] = [];
  for await (const item of items) value.push(item);
  return { value, text: value.length === 0 ? 'None.' : columns([head, ...value.map(row)]) };
}

export const when = (seconds: number | undefined): string =>
  seconds === undefined ? '' : `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;
