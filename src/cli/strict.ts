/** The rule by which the commands of client and server refuse flags. Each brings its own copy of Commander, so nothing is imported here. */

/** The part of a command that the rule needs. */
export interface CommandShape {
  readonly commands: readonly unknown[];
}
/** The result of Commander's `parseOptions`. */
export interface ParsedWords {
  readonly operands: readonly string[];
  readonly unknown: readonly string[];
}

/**
 * The flag to refuse before missing ones are named: often it is the missing one, misspelt. Flags after the name of a subcommand are that
 * one's, and a request for help is answered.
 */
export function unknownFlag({ commands }: CommandShape, { operands, unknown }: ParsedWords): string | undefined {
  const forSubcommand = commands.length > 0 && operands.length > 0;
  const asksForHelp = unknown.some((word) => word === '-h' || word === '--help');
  return forSubcommand || asksForHelp ? undefined : unknown[0];
}

/** Commander's own way of refusing, which suggests the flag that was meant. Its types leave it out. */
export interface Refusing {
  unknownOption(flag: string): never;
}
