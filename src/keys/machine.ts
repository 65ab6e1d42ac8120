/** Policies and terms of machine binding, as the addon takes and gives them. */
import { optionError } from '../errors.js';
import type { NativeBound, NativeMachinePolicy } from '../native/binding.js';
import type { MachinePolicy, MachineTerms } from '../types.js';

/** The code of the warning that a TPM is there and was not used. */
export const TPM_UNUSED_WARNING = 'MODEL_GUARD_TPM_UNUSED';
/** The code of the warning that a TPM's part does not depend on how the machine is started. */
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
  if (tpmUnmeasured)
    process.emitWarning('Nothing was measured into the PCRs: the TPM binds to this machine, however it is started', {
      type: 'ModelGuardWarning',
      code: TPM_UNMEASURED_WARNING,
    });
  if (tpmUnused !== undefined)
    process.emitWarning(`The TPM of this machine was not used: ${tpmUnused}. Nothing but its factors protects what was bound`, {
      type: 'ModelGuardWarning',
      code: TPM_UNUSED_WARNING,
    });
  return terms;
}
