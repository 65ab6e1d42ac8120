/** A command that reads a stream, and never takes a part of it for the whole: after a failure it is dead before its input ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { isModelGuardError, ModelGuardError } from '../errors.js';

/** Between SIGTERM and SIGKILL. */
const GRACE_MS = 2_000;
/** Killed processes may stay as zombies of a parent that never collects them; those read nothing any more. */
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
  // Node closes this pipe when the leader of the group ends. What else reads from it would take that for the end of the whole.
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
  // A signal of ours is not the reason: the command had stopped reading before.
  const what =
    code === 0 || (signal !== null && child.killed)
      ? 'ended before it had read everything'
      : `ended with ${signal ?? `status ${code}`}`;
  throw new ModelGuardError('IO_FAILED', `${program} ${what}`, { cause: error, advice: 'Its own output says why.' });
}

/** The command's standard input. Destroyed before its end, it first ends those who read it. */
class Input extends Writable {
  readonly #pipe: Writable;
  readonly #stop: () => Promise<void>;

  constructor(pipe: Writable, stop: () => Promise<void>) {
    super({ highWaterMark: 1 });
    this.#pipe = pipe;
    this.#stop = stop;
    // Between two pieces too: it reads no further.
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
 * SIGTERM goes to the leader alone: in a pipeline, what comes later would take the end of what comes first for the end of the whole.
 * The rest of the group is killed as soon as the leader has gone, and the leader too when the grace is over.
 */
async function endGroup(child: ChildProcess, graceMs: number): Promise<void> {
  const leader = child.pid as number;
  const running = (): boolean => child.exitCode === null && child.signalCode === null;
  if (running()) child.kill('SIGTERM');
  await until(() => !running(), graceMs);
  signalled(-leader, 'SIGKILL');
  await until(() => !running() && !signalled(-leader, 0), KILLED_MS);
}

async function until(holds: () => boolean, milliseconds: number): Promise<void> {
  for (let waited = 0; waited < milliseconds && !holds(); waited += POLL_MS) await pause(POLL_MS);
}

/** False where there is no such process, or group, any more. */
function signalled(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(target, signal);
  } catch {
    return false;
  }
}
