/** Looks at an addon before the system's loader does: the loader ends the process over some damaged files, and misnames others. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const HEADER = 64;
const MAGIC = 0x7f454c46; // 0x7f 'ELF'
/** Numbers of processors in an ELF header, by Node's names. */
const PROCESSORS: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

/**
 * `truncated`: the table of sections, the last thing in an ELF file of 64 bits, is not all there; loading it raises SIGBUS. `processor`:
 * it is for another processor; the loader says that there is no such file. Undefined for all others, and for what is no ELF file.
 * Source: System V ABI, Object Files, "ELF Header".
 */
export function elfFault(file: string): 'truncated' | 'processor' | undefined {
  const header = Buffer.alloc(HEADER);
  const descriptor = openSync(file, 'r');
  try {
    if (readSync(descriptor, header, 0, HEADER, 0) < HEADER || header.readUInt32BE(0) !== MAGIC) return undefined;
    const processor = PROCESSORS[process.arch];
    if (processor !== undefined && header.readUInt16LE(18) !== processor) return 'processor';
    const [tableOffset, entrySize, entries] = [header.readBigUInt64LE(40), header.readUInt16LE(58), header.readUInt16LE(60)];
    return fstatSync(descriptor).size < Number(tableOffset) + entrySize * entries ? 'truncated' : undefined;
  } finally {
    closeSync(descriptor);
  }
}
