/** A program that sees the files of a model in a mount of its own. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { ERROR_CODES, ModelGuardError } from '../errors.js';
import type { NativeMountedRequest } from './binding.js';
import { call } from './index.js';

/** Of `started`. */
const ENDED_BEFORE = -1;
/** The exit code that SIGKILL gives. */
const KILLED = 128 + constants.signals.SIGKILL;

interface MountedProgram {
  /**
   * Resolves when the program runs, or another signal than SIGKILL ended it before; to the code (`ENOENT`) where it could not be executed.
   * @throws MOUNT_REFUSED · OUT_OF_MEMORY, also where the kernel ended the process because memory ran out · IO_FAILED and others where the files cannot be copied
   */
  readonly started: Promise<string | undefined>;
  /** Its exit code, or 128 and the number of the signal that ended it. */
  readonly ended: Promise<number>;
  /** Does nothing once the program has ended. */
  kill(signal: NodeJS.Signals): void;
}

/**
 * Puts the files into a tmpfs that the program alone sees, read-only, and starts it (docs/decisions/0034).
 * @throws INVALID_ARGUMENT on other systems than Linux · OUT_OF_MEMORY, IO_FAILED if there is no process to be had
 */
export function startMounted(request: NativeMountedRequest): MountedProgram {
  const program = call((native) => native.startMounted(request));
  const ended = call(() => program.ended);
  const started = call(() => program.started, { MOUNT_REFUSED: advice() }).then(async (errno) => {
    if (errno === ENDED_BEFORE && (await ended) === KILLED) throw outOfMemory();
    return errno > 0 ? getSystemErrorName(-errno) : undefined;
  });
  return {
    started,
    ended,
    kill: (signal) => program.kill(constants.signals[signal]),
  };
}

const outOfMemory = (): ModelGuardError =>
  new ModelGuardError('OUT_OF_MEMORY', 'The process of the program was killed while the model was copied into its mount', {
    advice:
      'While it starts, run --mount needs twice the size of the model: raise the limit of memory, or run it without --mount.',
  });

/** Settings of the kernel with which a user cannot make the namespace of a mount: the value that forbids it, and one that allows it. */
const FORBIDDING = [
  { name: 'user.max_user_namespaces', forbids: '0', allows: 'a number above 0' },
  { name: 'kernel.unprivileged_userns_clone', forbids: '0', allows: '1' },
  { name: 'kernel.apparmor_restrict_unprivileged_userns', forbids: '1', allows: '0' },
] as const;

/** Names the setting that is in the way, if one is; the general advice lists all. */
function advice(): string {
  const setting = FORBIDDING.find(({ name, forbids }) => settingOf(name) === forbids);
  return setting
    ? `Run it without --mount, or have an administrator set ${setting.name} to ${setting.allows} (sysctl -w).`
    : ERROR_CODES.MOUNT_REFUSED.advice;
}

/** Undefined where this kernel has no such setting. */
function settingOf(setting: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${setting.replace('.', '/')}`, 'latin1').trim();
  } catch {
    return undefined;
  }
}
