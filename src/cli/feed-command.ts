/** Feeds a stream to a command. After a failure the command is killed before its input ends, so that it takes no part for the whole. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { isModelGuardError, ModelGuardError } from '../errors.js';

/** Between SIGTERM and SIGKILL. */
const GRACE_MS = 2_000;
/** Killed processes may stay as zombies of a parent that never collects them; zombies read nothing. */
const KILLED_MS = 1_000;
const POLL_MS = 20;

interface ConsumerOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly graceMs?: number | undefined;
}

/**
 * Starts `program` and gives `feed` its input. The command leads a process group of its own, so that what it starts ends with it; a
 * process that leaves the group (setsid) is out of reach.
 * @throws NOT_FOUND if it cannot be started · what `feed` throws · IO_FAILED if it fails, or stops reading
 */
export async function feedCommand(
  [program, ...args]: readonly [string, ...string[]],
  feed: (input: Writable) => Promise<void>,
  { env, graceMs = GRACE_MS }: ConsumerOptions,
): Promise<void> {
  const child = spawn(program, args, { stdio: ['pipe', 'inherit', 'inherit'], env, detached: true });
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  ended.catch(() => undefined);
  await once(child, 'spawn').catch((cause: unknown) => {
    throw new ModelGuardError('NOT_FOUND', `${program} cannot be started`, { cause });
  });
  const input = new Input(child.stdin, () => endGroup(child, graceMs));
  // Node closes this pipe when the leader of the group ends. Other readers of it would take that for the end of the stream.
  Object.assign(child, { stdin: null });
  child.once('exit', () => {
    if (!input.writableFinished) input.destroy(new Error(`${program} has ended`));
  });
  const error = await feed(input).then(
    () => undefined,
    (cause: unknown) => cause ?? new Error('it was not fed'),
  );
  if (error !== undefined) await closed(input);
  const [code, signal] = await ended;
  if (isModelGuardError(error)) throw error;
  if (code === 0 && error === undefined) return;
  // Our own signal is not the reason: the command had stopped reading before.
  const what =
    code === 0 || (signal !== null && child.killed)
      ? 'ended before it had read everything'
      : `ended with ${signal ?? `status ${code}`}`;
  throw new ModelGuardError('IO_FAILED', `${program} ${what}`, { cause: error, advice: 'Its own output says why.' });
}

/** The command's standard input. Destroyed before its end, it first ends the processes that read it. */
class Input extends Writable {
  readonly #pipe: Writable;
  readonly #stop: () => Promise<void>;

  constructor(pipe: Writable, stop: () => Promise<void>) {
    super({ highWaterMark: 1 });
    this.#pipe = pipe;
    this.#stop = stop;
    // The command may stop reading between two pieces, too.
    pipe.on('error', (error) => this.destroy(error));
  }

  override _write(piece: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#pipe.write(piece, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#pipe.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const stopped = this.writableFinished ? Promise.resolve() : this.#stop();
    stopped.finally(() => {
      this.#pipe.destroy();
      done(error);
    });
  }
}

async function closed(input: Writable): Promise<void> {
  input.on('error', () => undefined);
  input.destroy();
  if (!input.closed) await new Promise<void>((resolve) => input.once('close', () => resolve()));
}

/**
 * SIGTERM goes to the leader alone: in a pipeline, the later programs would take the end of the first one for the end of the stream.
 * The rest of the group is killed as soon as the leader has gone, and the leader too when the grace is over.
 */
async function endGroup(child: ChildProcess, graceMs: number): Promise<void> {
  const leader = child.pid as number;
  const running = (): boolean => child.exitCode === null && child.signalCode === null;
  if (running()) child.kill('SIGTERM');
  await until(() => !running(), graceMs);
  sendSignal(-leader, 'SIGKILL');
  await until(() => !running() && !sendSignal(-leader, 0), KILLED_MS);
}

async function until(holds: () => boolean, milliseconds: number): Promise<void> {
  for (let waited = 0; waited < milliseconds && !holds(); waited += POLL_MS) await pause(POLL_MS);
}

/** False where the process or the group does not exist any more. */
function sendSignal(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(target, signal);
  } catch {
    return false;
  }
}
