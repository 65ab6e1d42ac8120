/** The addon over recorded machines (test/machine-addon), in place of the one that looks at this machine. */
import path from 'node:path';
import { projectRoot } from './shared.js';

/** What a process needs in its environment so that it takes the folder `machine` for the machine that it runs on. */
export function machineEnv(machine: string): Record<string, string> {
  return {
    // node-gyp-build loads from here instead of the package's folder.
    '@ORG/MODEL_GUARD_PREBUILD': path.join(projectRoot, 'test/machine-addon'),
    MODEL_GUARD_TEST_MACHINE: machine,
  };
}

/** The same for this process. Call it before anything uses the addon; later calls change the machine. */
export function useMachine(machine: string): void {
  Object.assign(process.env, machineEnv(machine));
}
