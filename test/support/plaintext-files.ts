/** Looks for plaintext where a program of another user, or one that comes later, could find it: in files in memory and in open descriptors. */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readlinkSync, readSync, statSync } from 'node:fs';
import path from 'node:path';

const PIECE = 8 * 2 ** 20;
const MEMORY_FILE_SYSTEMS: ReadonlySet<string | undefined> = new Set(['tmpfs', 'ramfs', 'hugetlbfs']);

/** Undefined for what is gone by now, or is not ours to see. */
function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

/** Whether a regular file has `marker` in it. */
function holds(file: string, marker: Buffer): boolean {
  const descriptor = openSync(file, 'r');
  try {
    if (!fstatSync(descriptor).isFile()) return false;
    const buffer = Buffer.alloc(PIECE);
    for (let at = 0; ; ) {
      const got = readSync(descriptor, buffer, 0, PIECE, at);
      if (buffer.subarray(0, got).includes(marker)) return true;
      if (got < PIECE) return false;
      at += got - marker.length;
    }
  } finally {
    closeSync(descriptor);
  }
}

/** The folders that are file systems in memory. */
function memoryFolders(): readonly string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return mounts.flatMap((line) => {
    const [, folder = '', type] = line.split(' ');
    return MEMORY_FILE_SYSTEMS.has(type) ? [folder.replace(/\\040/g, ' ')] : [];
  });
}

/** The files below a folder, on its own file system. */
function* filesOf(folder: string, device = attempt(() => statSync(folder).dev)): Generator<string> {
  for (const entry of attempt(() => readdirSync(folder, { withFileTypes: true })) ?? []) {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory() && attempt(() => statSync(name).dev) === device) yield* filesOf(name, device);
    // A pipe or a device would be opened with effects of its own.
    else if (entry.isFile()) yield name;
  }
}

/** Descriptors of files in memory, and of files that have no name any more. */
function memoryDescriptors(pid: number | string): readonly string[] {
  const folder = `/proc/${pid}/fd`;
  return (attempt(() => readdirSync(folder)) ?? []).flatMap((number) => {
    const name = path.join(folder, number);
    const target = attempt(() => readlinkSync(name)) ?? '';
    const isHidden = target.startsWith('/memfd:') || target.endsWith(' (deleted)');
    return isHidden && attempt(() => statSync(name).isFile()) ? [name] : [];
  });
}

export const descriptorsWith = (marker: Buffer, pid: number): readonly string[] =>
  memoryDescriptors(pid).filter((name) => attempt(() => holds(name, marker)));

/**
 * The files in memory, the files below `folders` and the descriptors of all processes but `apart` that have `marker`, and how many were looked at.
 */
export function findPlaintext(
  marker: Buffer,
  folders: readonly string[],
  apart: readonly number[],
): { readonly found: readonly string[]; readonly looked: number } {
  const files = [...memoryFolders(), ...folders].flatMap((folder) => [...filesOf(folder)]);
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && !apart.includes(Number(name)));
  const all = [...new Set(files), ...processes.flatMap(memoryDescriptors)];
  return { found: all.filter((name) => attempt(() => holds(name, marker))), looked: all.length };
}
