/** Reads the memory map of a process of ours, and its contents. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

export interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly writable: boolean;
  readonly name: string;
  /** Two-letter flags of the kernel: `dd` left out of core dumps, `wf` wiped in a forked child, `lo` locked. */
  readonly flags: readonly string[];
  readonly rssKiB: number;
}

const HEAD = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+\s*(.*)$/;

export function mappings(pid: number): readonly Mapping[] {
  const found: Mapping[] = [];
  let open: { head: RegExpExecArray; rssKiB: number } | undefined;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const head = HEAD.exec(line);
    if (head !== null) open = { head, rssKiB: 0 };
    if (open !== undefined && line.startsWith('Rss:')) open.rssKiB = Number.parseInt(line.slice(4), 10);
    if (open === undefined || !line.startsWith('VmFlags:')) continue;
    const [, start = '', end = '', mode = '', name = ''] = open.head;
    found.push({
      start: Number.parseInt(start, 16),
      end: Number.parseInt(end, 16),
      writable: mode.includes('w'),
      name,
      flags: line.slice('VmFlags:'.length).trim().split(/\s+/),
      rssKiB: open.rssKiB,
    });
  }
  return found;
}

/** Only key material lies in memory that a forked child finds wiped. */
export const isSecretPage = (mapping: Mapping): boolean => mapping.flags.includes('wf');
/** Plaintext of models, and key material, are left out of core dumps. */
export const isUndumped = (mapping: Mapping): boolean => mapping.flags.includes('dd');
/** A region of plaintext. */
export const isPlaintextRegion = (mapping: Mapping): boolean => isUndumped(mapping) && !isSecretPage(mapping) && mapping.writable;

/** Bytes mapped for plaintext. Neighbours merge into one mapping, so bytes can be compared and counts cannot. */
export const plaintextBytes = (pid: number): number =>
  mappings(pid)
    .filter(isPlaintextRegion)
    .reduce((sum, { start, end }) => sum + end - start, 0);

/** Bytes mapped for key material. */
export const secretBytes = (pid: number): number =>
  mappings(pid)
    .filter((mapping) => isSecretPage(mapping) && mapping.writable)
    .reduce((sum, { start, end }) => sum + end - start, 0);

export interface Status {
  readonly rssKiB: number;
  readonly peakKiB: number;
}

export function status(pid: number): Status {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const value = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN);
  return { rssKiB: value('VmRSS'), peakKiB: value('VmHWM') };
}

const PIECE = 8 * 1024 * 1024;

/** Calls `visit` with each piece of a mapping; a piece repeats the last `overlap` bytes of the one before. */
export function readMapping(pid: number, mapping: Mapping, overlap: number, visit: (piece: Uint8Array) => void): void {
  const file = openSync(`/proc/${pid}/mem`, 'r');
  try {
    const buffer = Buffer.alloc(PIECE);
    for (let at = mapping.start; at < mapping.end; ) {
      const wanted = Math.min(PIECE, mapping.end - at);
      const got = readSome(file, buffer, wanted, at);
      if (got === 0) return;
      visit(buffer.subarray(0, got));
      if (at + got >= mapping.end) return;
      at += got > overlap ? got - overlap : got;
    }
    buffer.fill(0);
  } finally {
    closeSync(file);
  }
}

/** A mapping that is gone by now, or that the kernel does not show, reads as empty. */
function readSome(file: number, buffer: Uint8Array, length: number, address: number): number {
  try {
    return readSync(file, buffer, 0, length, address);
  } catch {
    return 0;
  }
}

/** The same for a file, such as a core dump. */
export function readWhole(path: string, overlap: number, visit: (piece: Uint8Array) => void): void {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(PIECE);
    for (let at = 0; ; ) {
      const got = readSync(file, buffer, 0, PIECE, at);
      if (got === 0) return;
      visit(buffer.subarray(0, got));
      if (got <= overlap) return;
      at += got === PIECE ? got - overlap : got;
    }
  } finally {
    closeSync(file);
  }
}
