/** System calls of another process: listed, or one of them turned into its death. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { Child } from './children.js';

/**
 * A thread by its place among the threads of its process, since its id differs in every run. Threads of one name start in one order, those of
 * different names do not: hence by name first.
 */
export interface Thread {
  readonly index: number;
  readonly name: string;
  readonly tid: number;
}
export interface Call {
  readonly thread: number;
  readonly syscall: string;
  /** How many calls of this kind this thread had made with this one. */
  readonly count: number;
  readonly text: string;
  /** Absolute paths among its arguments, descriptors included. */
  readonly paths: readonly string[];
}

/** What a file store may do to a disk, by every name that a C library may choose. */
export const DISK_CALLS = [
  ...['open', 'openat', 'openat2', 'creat', 'write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'copy_file_range', 'sendfile'],
  ...['fsync', 'fdatasync', 'sync_file_range', 'ftruncate', 'truncate', 'fallocate', 'fchmod', 'chmod', 'utimensat'],
  ...['rename', 'renameat', 'renameat2', 'link', 'linkat', 'symlink', 'symlinkat', 'unlink', 'unlinkat'],
  ...['mkdir', 'mkdirat', 'rmdir'],
] as const;

export function hasStrace(): boolean {
  try {
    execFileSync('strace', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export function threads(pid: number): readonly Thread[] {
  return readdirSync(`/proc/${pid}/task`)
    .map((tid) => ({ tid: Number(tid), name: readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').trim() }))
    .sort((a, b) => (a.name === b.name ? a.tid - b.tid : a.name < b.name ? -1 : 1))
    .map((thread, index) => ({ index, ...thread }));
}

/** Starts strace and waits until it has taken hold of every thread. */
export async function attach(tids: readonly number[], options: readonly string[]): Promise<Child> {
  const tracer = new Child(['strace', ...options, ...tids.flatMap((tid) => ['-p', String(tid)])]);
  for (const tid of tids) await tracer.stderrUntil(new RegExp(`Process ${tid} attached`));
  return tracer;
}

/** Paths as strace shows them: in quotes, or behind a descriptor with option -y. Not the contents of a buffer. */
const pathsIn = (text: string): readonly string[] =>
  [...text.matchAll(/(?:^|[(\s])(?:"(\/[^"]*)"|\d+<(\/[^>]*)>)/g)].map((match) => match[1] ?? match[2] ?? '');

const LINE = /^(\d+)\s+(\w+)\((.*)/;

/** The calls in a file that strace wrote, in their order; unfinished calls count where they began. */
export function readCalls(file: string, known: readonly Thread[]): readonly Call[] {
  const counts = new Map<string, number>();
  const calls: Call[] = [];
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [, tid, syscall, rest] = LINE.exec(line) ?? [];
    const thread = known.find((one) => one.tid === Number(tid));
    if (thread === undefined || syscall === undefined) continue;
    const key = `${thread.index} ${syscall}`;
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    const text = `${syscall}(${rest ?? ''}`;
    calls.push({ thread: thread.index, syscall, count, text, paths: pathsIn(text) });
  }
  return calls;
}
