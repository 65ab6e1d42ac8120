/** hardware: a machine, by its factors (docs/format.md, section 12). Factors are read natively, never here. */
import { z } from 'zod';
import { filePath, parse } from '../base/validate.js';
import { ModelGuardError, optionError } from '../errors.js';
import { readBounded } from '../files/files.js';
import { FACTORS, factors, type MachineFactor } from '../keys/machine-policy.js';
import type { NativeRecipient } from '../native/binding.js';
import { call } from '../native/index.js';
import type { Kind } from './kind.js';

/** Several times the size of the largest machine file. */
const MAX_MACHINE_FILE = 64 * 1024;

export const machineFile = filePath.optional();

export const machineDemand = z
  .strictObject({
    require: factors.optional(),
    atLeast: z.int().min(1).max(FACTORS.length).optional(),
    tpm: z.literal(true).optional(),
    salts: z.literal('this build').optional(),
  })
  .optional();

/** A publisher's demands on a machine file, on top of the policy that it was exported with. */
export interface MachineDemand {
  /** Factors that every set that opens must hold. */
  readonly require?: readonly MachineFactor[] | undefined;
  /** How many factors every set that opens must have, 1 to 6; weights do not count. */
  readonly atLeast?: number | undefined;
  /** A TPM must take part. */
  readonly tpm?: true | undefined;
  /** It must have been exported by a build with the salts of this one. */
  readonly salts?: 'this build' | undefined;
}

// Registered, so that the ESM and the CommonJS copy of this package accept each other's.
const MACHINE = Symbol.for('@org/model-guard/machine');
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** The hidden content of a {@link Hardware}. */
interface Machine {
  readonly file?: string | undefined;
  readonly demand: MachineDemand;
}

/** A machine: as recipient the one that exported a machine file, as identity this one. `hardware()` makes it. */
export class Hardware {
  readonly type = 'hardware';
  /** The machine file that a publisher encrypts to; absent where only this machine is meant. */
  readonly machineFile: string | undefined;

  /** @internal */
  constructor(machine: Machine) {
    this.machineFile = machine.file;
    Object.defineProperty(this, MACHINE, { value: machine });
  }

  /** @internal */
  [INSPECT](): string {
    return `Hardware { ${this.machineFile ?? 'this machine'} }`;
  }
}

/**
 * A machine as recipient or identity. As recipient it is the one that exported `file` (`exportMachine`,
 * `model-guard fingerprint --out`), which is read when something is encrypted. As identity it is this machine.
 *
 * Opening runs scrypt (RFC 7914) once per factor, some tenths of a second for each machine that a container is bound to. With a machine
 * file that this machine exported, only the slots made from it are tried: give it where containers are bound to many.
 *
 * A machine file does not say who wrote it: get it from the target over a way you trust.
 * @param file Path of a machine file.
 * @param demand The publisher's demands on the file: MACHINE_POLICY_WEAK where a weaker set of factors would open.
 * @throws INVALID_ARGUMENT. Later, where it is used, of the file NOT_FOUND, MACHINE_FILE_INVALID, VERSION_UNSUPPORTED, LIMIT_EXCEEDED;
 *   as recipient MACHINE_POLICY_WEAK, KEY_INVALID; as identity HARDWARE_MISMATCH, HARDWARE_UNREADABLE, SALTS_MISMATCH, TPM_UNAVAILABLE, TPM_LOCKED, TPM_REFUSED
 * @see docs/format.md section 12
 * @example
 * await protect('defects.onnx', { ...options, recipients: [hardware('machine.json', { require: ['drive'], atLeast: 3 })] });
 * // on the target
 * using model = await load('defects@3', { from: store, identities: [hardware()], verifier: 'mgs1:…' });
 */
export function hardware(file?: string, demand?: MachineDemand): Hardware {
  const path = parse(machineFile, file, 'machineFile');
  const wanted = parse(machineDemand, demand, 'demand');
  if (wanted && path === undefined)
    throw new ModelGuardError('INVALID_ARGUMENT', 'demand: is about a machine file, and none is given');
  return new Hardware({ file: path, demand: wanted ?? {} });
}

/** The content of a Hardware of either copy of this package. */
function machineOf(value: unknown): Machine | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<symbol, Machine | undefined>)[MACHINE] : undefined;
}

export const hardwareKind: Kind = {
  type: 'hardware',
  noun: 'machine',
  recipients: 'a machine file',
  identities: 'hardware()',
  recipient(value, where) {
    const machine = machineOf(value);
    return machine && resolved(machine, where);
  },
  opener(value) {
    const machine = machineOf(value);
    return machine && { machineFile: machine.file };
  },
};

/** Machine files are read here, so that a recipient is the content of its file at the time of encryption. */
async function resolved({ file, demand }: Machine, where: string): Promise<NativeRecipient> {
  if (file === undefined)
    throw optionError('INVALID_ARGUMENT', where, 'hardware() is this machine; a recipient needs a machine file', {
      advice: "Export one on the target (`model-guard fingerprint --out machine.json`) and give it: hardware('machine.json').",
    });
  const { binding } = await readMachineFile(file, demand);
  return { kind: 'hardware', publicPart: binding };
}

async function readMachineFile(file: string, { require = [], atLeast = 1, tpm, salts }: MachineDemand) {
  const text = await readBounded(file, MAX_MACHINE_FILE);
  const read = call((native) => native.parseMachineFile(text, { require, atLeast }));
  if (tpm && !read.terms.tpm) throw new ModelGuardError('MACHINE_POLICY_WEAK', `${file} was exported without a TPM`);
  if (salts && read.terms.saltsId !== call((native) => native.salts()).id)
    throw new ModelGuardError('MACHINE_POLICY_WEAK', `${file} was exported by a build with other salts`);
  return read;
}

/** The public keys of machine files: the addon's hint which slots to try. */
export const machineKeys = (files: readonly string[]): Promise<Uint8Array[]> =>
  Promise.all(files.map(async (file) => (await readMachineFile(file, {})).publicKey));
