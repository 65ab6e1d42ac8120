/** `unlock`: a decrypted archive in a pipe, and nowhere else. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { Command } from 'commander';
import { ModelGuardError } from '../../errors.js';
import type { Context } from '../context.js';
import { example, type OriginFlags, originOf, usage, withOrigin } from '../flags.js';
import { deviceServerOf, type ServerFlags, withDevice, withServer } from '../server-flags.js';

interface Flags extends ServerFlags, OriginFlags {
  readonly name?: string;
}

export function registerUnlock(program: Command, context: Context): void {
  const command = program
    .command('unlock')
    .description("decrypt an archive that lies here with a key from the guard server, into a command's standard input")
    .argument('<ARCHIVE>', 'the encrypted archive')
    .argument('[CMD...]', 'after --: the command to start; without one, standard output')
    .option('--name <N>', 'what it is registered as (default: the file name)');
  withOrigin(withDevice(withServer(command)));
  example(command, 'model-guard unlock images.tar.mguard --signer mgs1:… -- tar -x -C /srv/images');
  command.action(async (archive: string, argv: readonly string[], flags: Flags) => {
    const guard = await deviceServerOf(flags);
    const origin = flags.signer || flags.unsigned ? await originOf(flags) : {};
    const unlocking = guard.unlock(archive, {
      ...(flags.name !== undefined && { name: flags.name }),
      ...origin,
      signal: context.signal,
      onState: (state) => context.note(`${archive}: ${state}`),
    });
    const [program, ...args] = argv;
    if (program !== undefined) return intoCommand(program, args, (stdin) => unlocking.pipeTo(stdin));
    if (process.stdout.isTTY) throw usage('Standard output is a terminal: give a command after --, or redirect it');
    return unlocking.pipeTo(process.stdout);
  });
}

/** A command that fails, or that stops reading, fails this one too. */
async function intoCommand(program: string, args: readonly string[], feed: (stdin: Writable) => Promise<void>): Promise<void> {
  const child = spawn(program, args, { stdio: ['pipe', 'inherit', 'inherit'] });
  const started = once(child, 'spawn');
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  ended.catch(() => undefined);
  await started.catch((cause: unknown) => {
    throw new ModelGuardError('NOT_FOUND', `${program} cannot be started`, { cause });
  });
  const fed = feed(child.stdin).then(
    () => undefined,
    (error: unknown) => error,
  );
  const [code, signal] = await ended;
  const error = await fed;
  if (error !== undefined) throw error;
  if (code === 0) return;
  throw new ModelGuardError('IO_FAILED', `${program} ended with ${signal ?? `status ${code}`}`, {
    advice: 'Its own output says why.',
  });
}
