/** The addon over recorded machines (test/machine-addon), in place of the one that looks at this machine. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { useNativeAddon } from '../../src/native/addon.js';
import { projectRoot } from './shared.js';

/** A build for tests alone: it takes the folder that a variable names for the machine that it runs on. */
export const machineAddon = path.join(projectRoot, 'test/machine-addon/build/Release/model_guard.node');
const MACHINE = 'MODEL_GUARD_TEST_MACHINE';

/** Options of Node that make a child from the sources use this addon; `machineEnv` chooses its machine. */
export const machineImports: readonly string[] = [
  '--import',
  pathToFileURL(path.join(projectRoot, 'test/children/use-machine-addon.ts')).href,
];

/** Environment of a process with this addon, so that it takes the folder `machine` for its machine. */
export const machineEnv = (machine: string): Record<string, string> => ({ [MACHINE]: machine });

let named = false;

/** The same for this process. Call it before anything uses the addon; later calls change the machine. */
export function useMachine(machine: string): void {
  if (!named) useNativeAddon(machineAddon);
  named = true;
  Object.assign(process.env, machineEnv(machine));
}
