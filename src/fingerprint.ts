import { call } from './native/index.js';
import { fingerprintOptions, parse } from './options.js';
import type { FingerprintOptions, HardwareFingerprint } from './types.js';

/**
 * What this machine shows of itself, how good each part is to bind a model to, and why. It is read natively from files of the
 * kernel: no process is started. What cannot be read is an absent factor, not an error. Without `values` nothing that was read is
 * in it, and never a hash of it.
 * @throws INVALID_ARGUMENT, OUT_OF_MEMORY
 * @see docs/format.md section 12
 * @example
 * const { factors, environment } = await fingerprint();
 * for (const { name, quality, why } of factors) console.log(`${name}: ${quality} (${why})`);
 */
export async function fingerprint(options?: FingerprintOptions): Promise<HardwareFingerprint> {
  const { values = false, tpm = false } = parse(fingerprintOptions, options) ?? {};
  const found = await call((native) => native.fingerprint({ showValues: values, tpm }));
  const { factors, container, virtualMachine, machineId } = found;
  return {
    factors,
    environment: { container, ...(virtualMachine !== undefined && { virtualMachine }) },
    ...(machineId !== undefined && { machineId }),
    salts: call((native) => native.salts()),
  };
}
