/**
 * Private folders that give the files of a model their names: of symbolic links to descriptors, or empty, as the place of a mount. They
 * hold no content.
 */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { withFileErrorsSync } from './files.js';

/** The magic number of statfs(2). */
const TMPFS = 0x01021994;
/**
 * The boot of its machine and its namespace of process ids, the process and when it began: an id is used again, and containers and machines
 * can share a folder.
 */
const NAME = /^model-guard-(links|mount)-([0-9a-f]+-[0-9]+)-([0-9]+)-([0-9]+)-\w+$/;
type Kind = 'links' | 'mount';
/** `inMemory`: on a tmpfs if there is one, since root can write files beside the links. */
interface Place {
  readonly inMemory?: boolean;
}
const SHARED_MEMORY = '/dev/shm';
const OTHERS = 0o077;

/** This process, as the mounted /proc names it: in a container it can have another id there. */
export const ownProcess = (): string => withFileErrorsSync('Cannot read', '/proc/self', () => readlinkSync('/proc/self'));

const existing = new Set<string>();
const forgotten = new FinalizationRegistry<string>(remove);

/**
 * Private to this user. Removed by `remove`, when it is collected, when the process exits, or after its death by the next one; not when a
 * worker thread is terminated.
 */
class ModelFolder {
  readonly path: string;

  constructor(kind: Kind, place: Place = {}) {
    const base = baseFolder(place);
    removeStale(base);
    this.path = withFileErrorsSync('Cannot make a folder for the model in', base, () =>
      mkdtempSync(join(base, `${ownPrefix(kind)}-`)),
    );
    if (existing.size === 0) process.once('exit', removeAll);
    existing.add(this.path);
    forgotten.register(this, this.path);
  }

  /** Idempotent, never throws. */
  remove(): void {
    remove(this.path);
  }
}

/**
 * An empty folder, where a program sees a mount of its own. Removing it takes the mount from every process that still has it, so it is not
 * removed for a dead model-guard whose program lives.
 */
export class MountPoint extends ModelFolder {
  /** @throws What the system says about the folder. */
  constructor() {
    super('mount');
  }
}

/** Not to be written to: a program that keeps its results beside the model would lose them. */
export class LinkFolder extends ModelFolder {
  /** @param targets By path within the folder, segments separated by `/`. @throws What the system says about the folder. */
  constructor(targets: ReadonlyMap<string, string>, place: Place = {}) {
    super('links', place);
    try {
      withFileErrorsSync('Cannot fill the folder of links', this.path, () => this.#fill(targets));
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** Whether it is as it was made: `targets`, all of them at its top, and nothing else. */
  holdsOnly(targets: ReadonlyMap<string, string>): boolean {
    try {
      const names = readdirSync(this.path);
      return names.length === targets.size && names.every((name) => readlinkSync(join(this.path, name)) === targets.get(name));
    } catch {
      return false;
    }
  }

  #fill(targets: ReadonlyMap<string, string>): void {
    for (const [name, target] of targets) {
      const link = join(this.path, ...name.split('/'));
      mkdirSync(dirname(link), { recursive: true, mode: 0o700 });
      symlinkSync(target, link);
    }
    setModes(this.path, 0o500);
  }
}

function remove(path: string): void {
  if (!existing.delete(path)) return;
  if (existing.size === 0) process.off('exit', removeAll);
  removeQuietly(path);
}

function removeAll(): void {
  for (const path of existing) remove(path);
}

function removeQuietly(path: string): void {
  try {
    setModes(path, 0o700);
    rmSync(path, { recursive: true, force: true });
  } catch {
    // Its links hold no content.
  }
}

/** Of a folder and all below it. */
function setModes(folder: string, mode: number): void {
  chmodSync(folder, 0o700);
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) setModes(join(folder, entry.name), mode);
  chmodSync(folder, mode);
}

/** XDG_RUNTIME_DIR where it is as the specification demands and in memory; else the folder for temporary files. */
function baseFolder({ inMemory = false }: Place): string {
  const { XDG_RUNTIME_DIR: runtime } = process.env;
  if (runtime !== undefined && isAbsolute(runtime) && isOurs(runtime) && isInMemory(runtime)) return runtime;
  return inMemory && isInMemory(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir();
}

function isInMemory(path: string): boolean {
  try {
    return statfsSync(path).type === TMPFS;
  } catch {
    return false;
  }
}

/** A folder of this user that no other user may enter. */
function isOurs(path: string): boolean {
  try {
    const stats = lstatSync(path);
    return stats.isDirectory() && stats.uid === process.geteuid?.() && (stats.mode & OTHERS) === 0;
  } catch {
    return false;
  }
}

const ownPrefix = (kind: Kind): string => `model-guard-${kind}-${machine()}-${ownProcess()}-${beginningOf('self')}`;

/** The first digits of the boot's id, and the namespace: `pid:[4026531836]` without its words. */
function machine(): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8);
  return `${boot}-${readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')}`;
}

/** In clock ticks since the boot (proc(5), field 22 of stat). Undefined for a process that is not there. */
function beginningOf(pid: string): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name, which may hold spaces and brackets.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** Removes folders of this user whose process was killed. */
function removeStale(base: string): void {
  try {
    const here = machine();
    for (const name of readdirSync(base)) {
      const [, kind, maker, pid = '', beginning] = NAME.exec(name) ?? [];
      if (maker !== here || beginningOf(pid) === beginning || (kind === 'mount' && isMounted(name))) continue;
      const path = join(base, name);
      if (isOurs(path)) removeQuietly(path);
    }
  } catch {
    // Leftovers hold nothing and must not be in the way of a load.
  }
}

/** Whether a process of this user has a mount at a folder of this name. */
function isMounted(name: string): boolean {
  return readdirSync('/proc').some((pid) => /^[0-9]+$/.test(pid) && mountsOf(pid).includes(`/${name} `));
}

/** Empty for a process that has ended, or belongs to another user. */
function mountsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/mountinfo`, 'latin1');
  } catch {
    return '';
  }
}
