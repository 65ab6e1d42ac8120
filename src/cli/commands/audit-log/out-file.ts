/** Writes the result of a command to the file that `--out` names. */
import type { Command } from 'commander';
import { writeAll, writeWhole } from '../../../files/files.js';
import { withForce } from '../../flags/common.js';

export interface OutFlags {
  readonly out: string;
  readonly force?: boolean;
}

export const withOut = (command: Command): Command => withForce(command.requiredOption('--out <FILE>', 'where to'));

export const writePieces = (
  { out, force = false }: OutFlags,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> =>
  writeWhole(
    out,
    async (handle) => {
      for await (const piece of pieces) await writeAll(handle, piece);
    },
    { overwrite: force },
  );

/** JSON in one line. */
export const writeJson = (flags: OutFlags, value: unknown): Promise<void> =>
  writePieces(flags, [Buffer.from(`${JSON.stringify(value)}\n`)]);
