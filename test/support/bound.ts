/** Models bound to recorded machines, and who opens them. One machine at a time: the environment of the process names it. */
import path from 'node:path';
import {
  decrypt,
  type ExportMachineOptions,
  encrypt,
  exportMachine,
  hardware,
  type MachineDemand,
  ModelGuardError,
} from '../../src/index.js';
import { useMachine } from './machine-addon.js';
import type { MachineTree } from './machine-tree.js';
import { temporaryFolder } from './temp.js';

const folder = temporaryFolder('bound');
let files = 0;

export const PLAIN = new TextEncoder().encode('a model of some bytes');

/** From here on, this process runs on `tree`. */
export async function become(tree: MachineTree): Promise<void> {
  useMachine(await tree.write());
}

/** A machine file that `tree` exports. */
export async function exportOn(tree: MachineTree, policy: ExportMachineOptions = {}): Promise<string> {
  await become(tree);
  files += 1;
  const file = path.join(folder, `machine-${files}.json`);
  await exportMachine(file, policy);
  return file;
}

export const encryptTo = (machineFile: string, demand?: MachineDemand): Promise<Uint8Array> =>
  encrypt(PLAIN, { recipients: [hardware(machineFile, demand)] });

/** A container for `tree` and nobody else. */
export const bindTo = async (tree: MachineTree, policy?: ExportMachineOptions): Promise<Uint8Array> =>
  encryptTo(await exportOn(tree, policy));

/** What comes of opening it on `tree`: a code, or OK. */
export async function openOn(tree: MachineTree, container: Uint8Array): Promise<string> {
  await become(tree);
  try {
    using model = await decrypt(container, { identities: [hardware()], unsigned: 'accept' });
    return Buffer.compare(model.bytes, PLAIN) === 0 ? 'OK' : 'other bytes';
  } catch (error) {
    if (error instanceof ModelGuardError) return error.code;
    throw error;
  }
}
