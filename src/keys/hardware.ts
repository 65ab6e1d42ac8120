/** Machines as recipients and identities (docs/format.md, section 12). What a machine is made of is read natively, never here. */
import { ModelGuardError } from '../errors.js';
import { machineDemand, machineFile, parse } from '../options.js';
import type { MachineDemand } from '../types.js';

// Registered, so that the ESM and the CommonJS copy of this package accept each other's.
const MACHINE = Symbol.for('@org/model-guard/machine');
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** What stands behind a {@link Hardware}. */
export interface Machine {
  readonly file?: string | undefined;
  readonly demand: MachineDemand;
}

/** A machine: as recipient the one that exported a machine file, as identity this one. `hardware()` makes it. */
export class Hardware {
  readonly type = 'hardware';
  /** What a publisher encrypts to; absent where only this machine is meant. */
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
 * @param demand What the publisher wants of the file: MACHINE_POLICY_WEAK where a weaker set of factors would open.
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

/** What stands behind a Hardware of either copy of this package. */
export function machineOf(value: unknown): Machine | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<symbol, Machine | undefined>)[MACHINE] : undefined;
}
