/** References of models: a name and a version in one word, NAME@VERSION. */
import type { Command } from 'commander';
import type { Refusing } from '../../terminal/strict.js';

/** Flags of earlier releases, which gave name and version apart, and the flag of the program that is taken for the latter. */
const FORMER = ['--name', '--model-version', '--version'];

/** Makes `command` refuse the former flags by the words that replace them, such as `protect PATH NAME@VERSION`. */
export function refuseFormerFlags(command: Command, words: string): Command {
  const { unknownOption } = command as Command & Refusing;
  return Object.assign(command, {
    unknownOption(flag: string): never {
      if (!FORMER.includes(flag)) return unknownOption.call(command, flag);
      const message = `error: unknown option '${flag}'\n(Name and version are one word: model-guard ${words})`;
      return command.error(message, { code: 'commander.unknownOption' });
    },
  });
}
