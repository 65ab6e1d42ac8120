/** `unlock`: a decrypted archive in a pipe, and nowhere else. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { Command } from 'commander';
import { isModelGuardError, ModelGuardError } from '../../errors.js';
import type { Context } from '../context.js';
import { example, type OriginFlags, originOf, usage, withOrigin } from '../flags.js';
import { deviceServerOf, type ServerFlags, VARIABLES, withDevice, withServer } from '../server-flags.js';

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
    let child: Consumer | undefined;
    const guard = await deviceServerOf(flags);
    const origin = flags.signer || flags.unsigned ? await originOf(flags) : {};
    const unlocking = guard.unlock(archive, {
      ...(flags.name !== undefined && { name: flags.name }),
      ...origin,
      ...context.run(),
      onState: (state) => {
        context.note(`${archive}: ${state}`);
        // The end of its input would tell it that this was the whole.
        if (state === 'failed') child?.kill();
      },
    });
    const [program, ...args] = argv;
    if (program !== undefined) {
      child = spawn(program, args, { stdio: ['pipe', 'inherit', 'inherit'], env: withoutCredentials() });
      return intoCommand(program, child, (stdin) => unlocking.pipeTo(stdin));
    }
    if (process.stdout.isTTY) throw usage('Standard output is a terminal: give a command after --, or redirect it');
    return unlocking.pipeTo(process.stdout);
  });
}

type Consumer = ChildProcessByStdio<Writable, null, null>;

/** The command gets the archive, and no way to get another. */
const withoutCredentials = (): NodeJS.ProcessEnv => ({
  ...process.env,
  ...Object.fromEntries(Object.values(VARIABLES).map((name) => [name, undefined])),
});

/** A command that fails, or that stops reading, fails this one too. */
async function intoCommand(program: string, child: Consumer, feed: (stdin: Writable) => Promise<void>): Promise<void> {
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
  if (isModelGuardError(error)) throw error;
  if (code === 0 && error === undefined) return;
  const what = code === 0 ? 'ended before it had read everything' : `ended with ${signal ?? `status ${code}`}`;
  throw new ModelGuardError('IO_FAILED', `${program} ${what}`, { cause: error, advice: 'Its own output says why.' });
}
