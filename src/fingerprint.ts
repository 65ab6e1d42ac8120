import { z } from 'zod';
import { parse } from './base/validate.js';
import type { MachineFactor } from './keys/machine-policy.js';
import { call } from './native/index.js';

export const fingerprintOptions = z.strictObject({ values: z.boolean().optional(), tpm: z.boolean().optional() }).optional();

/** Options of `fingerprint`. */
export interface FingerprintOptions {
  /** Shows what was read, machine-id too. Default: false. */
  readonly values?: boolean | undefined;
  /** Asks a TPM for its endorsement key, which can take seconds. Default: false; the factor `tpm` is then absent. */
  readonly tpm?: boolean | undefined;
}

/** One factor of a machine, as found. */
export interface HardwareFactor {
  readonly name: MachineFactor;
  /**
   * `strong`: unique to this machine and hard to guess. `weak`: many machines share it. `virtual`: a hypervisor made it up, or may
   * copy it. `absent`: it cannot be read.
   */
  readonly quality: 'strong' | 'weak' | 'virtual' | 'absent';
  /** Where it is read, or would be. */
  readonly source: string;
  /**
   * Whether `source` is there and its mode does not let every user read it; of `uuid` always true, since the kernel gives it to root alone.
   * It tells nothing of this process: it stays true where root has read the factor, and for a TPM that a group may use.
   */
  readonly needsRoot: boolean;
  /** The reason for its quality. */
  readonly why: string;
  /** The value that counts, to the byte (docs/format.md section 12). Only where asked for and present. */
  readonly value?: string | undefined;
  /** The same for people, where that differs: names of devices, memory in GiB. */
  readonly label?: string | undefined;
}

/** The result of `fingerprint`. */
export interface HardwareFingerprint {
  /** In this order: cpu, gpu, memory, drive, uuid, tpm. */
  readonly factors: readonly HardwareFactor[];
  readonly environment: {
    readonly container: boolean;
    /** The hypervisor; absent on bare metal. */
    readonly virtualMachine?: string | undefined;
  };
  /** Shown, never counted: a cloned image has the same. Only where values were asked for. */
  readonly machineId?: string | undefined;
  /** Of this build. `default`: the public ones, which every other build has too. */
  readonly salts: { /** 16 hex digits. */ readonly id: string; readonly default: boolean };
}

/**
 * The factors of this machine, how good each is to bind a model to, and why. It is read natively from files of the
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
