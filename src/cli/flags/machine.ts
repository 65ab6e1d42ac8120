/** Reads the policy of machine files and sealed device keys from flags. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { MachineFactor, MachinePolicy } from '../../index.js';
import { FACTORS, TPM_USES } from '../sdk.js';
import { collect, numberOf, usage } from './common.js';

/** As `collect`, for names of factors. */
export function collectFactors(value: string, before: readonly MachineFactor[] | false = []): readonly MachineFactor[] {
  const factor = FACTORS.find((name) => name === value);
  if (factor === undefined) throw new InvalidArgumentError(`Allowed choices are ${FACTORS.join(', ')}.`);
  return [...(before || []), factor];
}

export interface PolicyFlags {
  readonly factor?: readonly MachineFactor[];
  /** `false` with --no-require: no factor is required. */
  readonly require?: readonly MachineFactor[] | false;
  readonly atLeast?: string;
  readonly weight?: readonly string[];
  readonly tpm?: NonNullable<MachinePolicy['tpm']>;
  readonly pcr?: readonly string[];
}

export const withMachinePolicy = (command: Command, tpmDefault: string): Command =>
  command
    .option('--factor <F>', 'a factor that counts; repeat for more (default: cpu, gpu, memory and drive)', collectFactors)
    .option('--require <F>', 'a factor without which nothing opens; repeat for more (default: a strong drive)', collectFactors)
    .option('--no-require', 'none is required')
    .option('--at-least <N>', 'how much weight opens (default: all, or all but one where a factor is required)')
    .option('--weight <F=N>', "a factor's weight, 1 to 16; repeat for more (default: 1 each)", collect)
    .addOption(new Option('--tpm <USE>', `whether the TPM takes part (default: ${tpmDefault})`).choices(TPM_USES))
    .option('--pcr <N>', 'a PCR of the TPM that must not change, 0 to 23; repeat for more (default: 7)', collect);

/** Undefined where no flag is given. */
export function machinePolicyOf(flags: PolicyFlags): MachinePolicy | undefined {
  const { factor, require, atLeast, weight, tpm, pcr } = flags;
  const policy = {
    ...(factor && { factors: factor }),
    ...(require !== undefined && { require: require || [] }),
    ...(atLeast !== undefined && { atLeast: numberOf(atLeast) }),
    ...(weight && { weights: weightsOf(weight) }),
    ...(tpm && { tpm }),
    ...(pcr && { pcrs: pcr.map(numberOf) }),
  };
  return Object.keys(policy).length > 0 ? policy : undefined;
}

function weightsOf(texts: readonly string[]): NonNullable<MachinePolicy['weights']> {
  return Object.fromEntries(
    texts.map((text) => {
      const [, factor, weight] = /^([a-z]+)=([0-9]+)$/.exec(text) ?? [];
      if (factor === undefined) throw usage(`--weight ${text}: wants FACTOR=N, for instance drive=2`);
      return [factor, Number(weight)];
    }),
  );
}
