/** Checks the folders of output files before the work, not after hours of it. */
import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { hasCode, ModelGuardError } from '../errors.js';
import { withFileErrors } from '../files/files.js';

/** Flags of every command that name a file to write. */
const FLAGS = ['out'];
/** Flags of `split` that name files to write. */
const PARTS = ['small', 'big'];

/** @throws NOT_FOUND where the folder of an output is missing */
export async function checkOutputs(command: Command): Promise<void> {
  for (const [index, argument] of command.registeredArguments.entries())
    if (argument.name() === 'OUT') await checkFolder('OUT', command.processedArgs[index]);
  for (const key of command.name() === 'split' ? PARTS : FLAGS) await checkFolder(`--${key}`, command.getOptionValue(key));
}

async function checkFolder(label: string, path: unknown): Promise<void> {
  if (typeof path !== 'string' || path === '-') return;
  const folder = dirname(resolve(path));
  const isFolder = await withFileErrors('Cannot look up', folder, () => stat(folder)).then(
    (found) => found.isDirectory(),
    (error: unknown) => {
      // The command itself reports other faults of the path.
      return !hasCode(error, 'NOT_FOUND');
    },
  );
  if (!isFolder)
    throw new ModelGuardError('NOT_FOUND', `${label} ${path}: there is no folder ${folder}`, {
      advice: `Make it first (mkdir -p ${folder}), or choose another place.`,
    });
}
