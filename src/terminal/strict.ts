/**
 * Refuses wrong words of a command line by the word that is wrong. Client and server bring a copy of Commander each, so this module imports
 * none.
 */

/** The part of an option that the rules need: Commander calls one `required` that takes a value. */
interface OptionShape {
  readonly long?: string | undefined;
  readonly short?: string | undefined;
  readonly required: boolean;
}
/** The part of a command that the rules need. */
interface CommandShape {
  readonly commands: readonly { name(): string }[];
  readonly options: readonly OptionShape[];
  readonly registeredArguments: readonly { name(): string }[];
  name(): string;
}
/** The result of Commander's `parseOptions`. */
interface ParsedWords {
  readonly operands: readonly string[];
  readonly unknown: readonly string[];
}
/** The methods of a command that {@link makeStrict} calls. */
interface Command extends CommandShape {
  createCommand(name?: string): Command;
  parseOptions(words: string[]): ParsedWords;
  error(message: string, options?: { readonly code?: string }): never;
}
/** A method of Commander that its types leave out. A command may replace it. */
export interface Refusing {
  unknownOption(flag: string): never;
}

/**
 * Makes `command`, and the commands that are added to it from now on, name an unknown flag before a missing one, and the word that is one
 * too many.
 */
export function makeStrict<Strict extends Command>(command: Strict): Strict {
  const { createCommand, parseOptions } = command;
  let words: readonly string[] = [];
  const refuse = (message: string, code: string): never => command.error(message, { code: `commander.${code}` });
  return Object.assign(command, {
    createCommand: (name?: string) => makeStrict(createCommand.call(command, name)),
    parseOptions(given: string[]) {
      words = given;
      const missing = missingValue(command, given);
      if (missing !== undefined) refuse(missing, 'optionMissingArgument');
      const parsed = parseOptions.call(command, given);
      const flag = unknownFlag(command, parsed);
      if (flag !== undefined) (command as Strict & Refusing).unknownOption(flag);
      return parsed;
    },
    /** Commander calls it where there are more arguments than the command takes. */
    _excessArguments: (given: readonly string[]) => refuse(excessArgument(command, words, given), 'excessArguments'),
  });
}

/**
 * The flag to refuse before missing ones are named: often it is the missing one, misspelt. Flags after the name of a subcommand belong to
 * that command. A request for help is answered.
 */
function unknownFlag({ commands }: Pick<CommandShape, 'commands'>, { operands, unknown }: ParsedWords): string | undefined {
  const forSubcommand = commands.length > 0 && operands.length > 0;
  const asksForHelp = unknown.some((word) => word === '-h' || word === '--help');
  return forSubcommand || asksForHelp ? undefined : unknown[0];
}

/**
 * The message for a flag whose value is another flag. `--recipient $KEY --sign FILE` reads so where the variable is empty, and Commander
 * would take `--sign` for the value. Words after `--`, or after the name of a subcommand, are not checked.
 */
function missingValue(command: CommandShape, words: readonly string[]): string | undefined {
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    if (word === '--' || command.commands.some((one) => one.name() === word)) return undefined;
    if (!optionOf(command, word)?.required) continue;
    const value = words[++at];
    if (value?.startsWith('--'))
      return `error: ${word} wants a value, and ${value.split('=', 1)[0]} follows. If it was given a variable or $(…), that is empty. A value that begins so is written ${word}=VALUE.`;
  }
  return undefined;
}

/** The message for the first argument that is one too many. @param words All words of the command, flags too. */
function excessArgument(command: CommandShape, words: readonly string[], given: readonly string[]): string {
  const taken = command.registeredArguments.map((one) => one.name());
  const word = given[taken.length] ?? '';
  const at = words.lastIndexOf(word);
  const [flag, value] = [words[at - 2] ?? '', words[at - 1] ?? ''];
  let advice = `It takes ${taken.join(' and ') || 'none'}; a value that has spaces wants quotes.`;
  if (optionOf(command, flag)?.required) advice = `If it belongs to the value of ${flag}, put that into quotes.`;
  else if (optionOf(command, value)) advice = `${value} takes no value.`;
  return `error: too many arguments for '${command.name()}': ${JSON.stringify(word)} is one more. ${advice}`;
}

const optionOf = ({ options }: CommandShape, word: string): OptionShape | undefined =>
  options.find(({ long, short }) => word !== '' && (word === long || word === short));
