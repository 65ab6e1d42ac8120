/** Policies and terms of machine binding, as the addon takes and gives them. */
import { z } from 'zod';
import { list } from '../base/schemas.js';
import { filePath } from '../base/validate.js';
import { optionError } from '../errors.js';
import type { NativeBound, NativeMachinePolicy } from '../native/binding.js';

const MAX_WEIGHT = 16;
const MAX_PCR = 23;

export const FACTORS = ['cpu', 'gpu', 'memory', 'drive', 'uuid', 'tpm'] as const;
export const TPM_USES = ['never', 'when-usable', 'required'] as const;

/** Of lists that name each thing once. */
const MAX_NAMES = 64;

export const factors = list(z.enum(FACTORS), MAX_NAMES).refine(
  (names) => new Set(names).size === names.length,
  'names a factor twice',
);

const weight = z.int().min(1).max(MAX_WEIGHT).optional();

export const machinePolicy = {
  factors: factors.min(1).optional(),
  require: factors.optional(),
  atLeast: z.int().min(1).optional(),
  weights: z.strictObject({ cpu: weight, gpu: weight, memory: weight, drive: weight, uuid: weight, tpm: weight }).optional(),
  tpm: z.enum(TPM_USES).optional(),
  pcrs: list(z.int().min(0).max(MAX_PCR), MAX_NAMES).min(1).optional(),
};

export const sealedKeyOptions = z.strictObject({ ...machinePolicy, path: filePath });

/** A factor that identifies a machine (docs/format.md section 12). `tpm` is the name of a TPM's endorsement key. */
export type MachineFactor = 'cpu' | 'gpu' | 'memory' | 'drive' | 'uuid' | 'tpm';

/** The policy for a machine that a model or a device key is bound to. */
export interface MachinePolicy {
  /** Which factors count. Default: cpu, gpu, memory and drive, as far as they can be read. */
  readonly factors?: readonly MachineFactor[] | undefined;
  /** Factors without which nothing opens; an empty list for none. Default: the drive, where its serial number is strong. */
  readonly require?: readonly MachineFactor[] | undefined;
  /**
   * How much weight must be there to open, 1 to the sum of the weights. Default: all, but for the lightest factor that is not required
   * where one is required and there are three or more.
   */
  readonly atLeast?: number | undefined;
  /** Weights of factors, 1 to 16. Default: 1 each. */
  readonly weights?: { readonly [Factor in MachineFactor]?: number | undefined } | undefined;
  /**
   * Whether a TPM 2.0 takes part; then a copy of the disk opens nowhere else. `when-usable` warns with MODEL_GUARD_TPM_UNUSED
   * where there is one that cannot be used. Default: `never` for machine files, `when-usable` for device keys.
   */
  readonly tpm?: 'never' | 'when-usable' | 'required' | undefined;
  /** PCRs of the TPM's SHA-256 bank that must not change, 0 to 23. Default: 7, the secure boot state. Needs a TPM policy. */
  readonly pcrs?: readonly number[] | undefined;
}

/** The factors that a machine needs to open a slot or a sealed key. Public: they are stored beside the sealed bytes. */
export interface MachineTerms {
  readonly factors: readonly { readonly name: MachineFactor; readonly weight: number; readonly required: boolean }[];
  /** The weight that must be reached. */
  readonly atLeast: number;
  /** Whether the machine's TPM takes part. */
  readonly tpm: boolean;
  /** Which salts it was bound with, 16 hex digits (docs/format.md section 13). */
  readonly saltsId: string;
  /** `default`: the public ones. `other`: this build cannot open it. */
  readonly salts: 'default' | 'this build' | 'other';
}

/** Options of `DeviceKey.generate` for a key that is sealed at rest. */
export interface SealedKeyOptions extends MachinePolicy {
  /** The key file to write (0600); an existing one is never replaced. */
  readonly path: string;
}

/** The code of the warning that a TPM is there and was not used. */
export const TPM_UNUSED_WARNING = 'MODEL_GUARD_TPM_UNUSED';
/** The code of the warning that PCRs of a TPM's policy do not depend on how the machine is started. */
export const TPM_UNMEASURED_WARNING = 'MODEL_GUARD_TPM_UNMEASURED';

/** `tpm`: what is meant where the policy does not say. */
export function nativePolicy(
  { factors, require, atLeast, weights = {}, tpm, pcrs }: MachinePolicy,
  defaults: Pick<NativeMachinePolicy, 'tpm'>,
): NativeMachinePolicy {
  const use = tpm ?? defaults.tpm;
  if (pcrs && use === 'never')
    throw optionError('INVALID_ARGUMENT', 'options.pcrs', 'are measured by a TPM, which is not to take part');
  return {
    factors,
    require,
    atLeast,
    weights: Object.fromEntries(Object.entries(weights).filter((entry): entry is [string, number] => entry[1] !== undefined)),
    tpm: use,
    pcrs: pcrs?.reduce((mask, pcr) => mask | (1 << pcr), 0),
  };
}

/** The terms of what was just bound. */
export function boundTo({ terms, tpmUnused, tpmUnmeasured }: NativeBound): MachineTerms {
  if (tpmUnmeasured) {
    const empty = Array.from({ length: MAX_PCR + 1 }, (_, pcr) => pcr).filter((pcr) => tpmUnmeasured & (1 << pcr));
    process.emitWarning(
      `No measurement is in PCR ${empty.join(', ')} of the TPM: what was bound does not depend on the part of the boot state that belongs there`,
      { type: 'ModelGuardWarning', code: TPM_UNMEASURED_WARNING },
    );
  }
  if (tpmUnused !== undefined)
    process.emitWarning(`The TPM of this machine was not used: ${tpmUnused}. Nothing but its factors protects what was bound`, {
      type: 'ModelGuardWarning',
      code: TPM_UNUSED_WARNING,
    });
  return terms;
}
