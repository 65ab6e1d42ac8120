import { z } from 'zod';
import { filePath, parse } from './base/validate.js';
import type { OverwriteOptions } from './engine/options.js';
import { refuseExisting, writeAll, writeWhole } from './files/files.js';
import { boundTo, type MachinePolicy, type MachineTerms, machinePolicy, nativePolicy } from './keys/machine-policy.js';
import { call } from './native/index.js';

export const exportMachineOptions = z.strictObject({ ...machinePolicy, overwrite: z.boolean().optional() }).optional();

/** Options of `exportMachine`. */
export interface ExportMachineOptions extends MachinePolicy, OverwriteOptions {}

/**
 * Binds a new random secret to this machine and writes the machine file that a publisher needs to encrypt to it
 * (`hardware('machine.json')`). The file holds no factor and no hash of one. It can be exported again at any time; what was made for
 * older ones still opens. Warns with MODEL_GUARD_TPM_UNUSED where a TPM is there that `when-usable` could not use.
 *
 * The weaker the factors, the easier the machine can be guessed by who knows its parts: docs/threat-model.md gives the cost.
 * @param path The machine file to write, whole or not at all.
 * @param options What a machine must show to open. By default a strong drive is required and one other part may change.
 * @returns What it was bound to.
 * @throws HARDWARE_UNREADABLE · INVALID_ARGUMENT (atLeast above the sum of the weights, a factor twice, a weight of one that does
 *   not count) · TPM_UNAVAILABLE, TPM_LOCKED · ALREADY_EXISTS unless `overwrite`, PERMISSION_DENIED, READ_ONLY, NO_SPACE, IO_FAILED
 * @see docs/format.md section 12
 * @example
 * await exportMachine('machine.json', { require: ['drive'], atLeast: 3 });
 */
export async function exportMachine(path: string, options?: ExportMachineOptions): Promise<MachineTerms> {
  const target = parse(filePath, path, 'path');
  const { overwrite = false, ...policy } = parse(exportMachineOptions, options) ?? {};
  const asked = nativePolicy(policy, { tpm: 'never' });
  if (!overwrite) await refuseExisting(target);
  const bound = await call((native) => native.exportMachine(asked));
  await writeWhole(target, (handle) => writeAll(handle, bound.file), { overwrite });
  return boundTo(bound);
}
