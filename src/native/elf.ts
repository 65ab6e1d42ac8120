/** Looks at an addon before the system's loader does: the loader ends the process over a file that was cut off. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const HEADER = 64;
const MAGIC = 0x7f454c46; // 0x7f 'ELF'
/** Numbers of processors in an ELF header, by Node's names. */
const PROCESSORS: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

/** Bytes 4 and 5 of the header: 64 bits, little-endian. */
const CLASS = 0x0201;

/**
 * `truncated`: the header or the table of sections, the last thing in the file, is not all there; loading it raises SIGBUS. `processor`:
 * the file is for another processor; the loader would say that there is no such file. Undefined where the loader can be asked.
 * Source: System V ABI, Object Files, "ELF Header".
 */
export function elfFault(file: string): 'truncated' | 'processor' | undefined {
  const header = Buffer.alloc(HEADER);
  const descriptor = openSync(file, 'r');
  try {
    const processor = PROCESSORS[process.arch];
    if (processor === undefined) return undefined;
    if (readSync(descriptor, header, 0, HEADER, 0) < HEADER) return 'truncated';
    if (header.readUInt32BE(0) !== MAGIC || header.readUInt16BE(4) !== CLASS) return undefined;
    if (header.readUInt16LE(18) !== processor) return 'processor';
    const [tableOffset, entrySize, entries] = [header.readBigUInt64LE(40), header.readUInt16LE(58), header.readUInt16LE(60)];
    return fstatSync(descriptor).size < Number(tableOffset) + entrySize * entries ? 'truncated' : undefined;
  } finally {
    closeSync(descriptor);
  }
}
