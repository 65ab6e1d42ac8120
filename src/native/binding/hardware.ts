/** Types and functions of machines, machine files and sealed keys. */
import type { KeyHandle } from './keys.js';

export type NativeFactorName = 'cpu' | 'gpu' | 'memory' | 'drive' | 'uuid' | 'tpm';

export interface NativeFingerprint {
  /** In this order: cpu, gpu, memory, drive, uuid, tpm. */
  readonly factors: readonly {
    readonly name: NativeFactorName;
    readonly quality: 'strong' | 'weak' | 'virtual' | 'absent';
    /** Where it is read, or would be. */
    readonly source: string;
    readonly needsRoot: boolean;
    readonly why: string;
    /** To the byte; only where asked for and present. */
    readonly value?: string;
    /** For people; only beside a value that differs. */
    readonly label?: string;
  }[];
  readonly container: boolean;
  /** The hypervisor; absent on bare metal. */
  readonly virtualMachine?: string;
  /** Shown, never counted. Only where values were asked for. */
  readonly machineId?: string;
}

/** An owner's policy for a machine; absent means default (native/core/hardware/binding.h). An empty `require` requires none. */
export interface NativeMachinePolicy {
  readonly factors?: readonly NativeFactorName[] | undefined;
  readonly require?: readonly NativeFactorName[] | undefined;
  readonly atLeast?: number | undefined;
  readonly weights?: Readonly<Partial<Record<NativeFactorName, number>>> | undefined;
  readonly tpm: 'never' | 'when-usable' | 'required';
  /** Bit i: PCR i. */
  readonly pcrs?: number | undefined;
}

/** The public terms of a machine-bound slot, machine file or sealed key. */
export interface NativeMachineTerms {
  readonly factors: readonly { readonly name: NativeFactorName; readonly weight: number; readonly required: boolean }[];
  readonly atLeast: number;
  readonly tpm: boolean;
  /** 16 hex digits. */
  readonly saltsId: string;
  readonly salts: 'default' | 'this build' | 'other';
}

export interface NativeBound {
  readonly terms: NativeMachineTerms;
  /** Why a TPM that is there was not used, with `when-usable`. */
  readonly tpmUnused?: string;
  /** The PCRs of the policy that hold no measurement (bit i: PCR i). Absent: each holds one. */
  readonly tpmUnmeasured?: number;
}

export interface HardwareBinding {
  /** The factors of this machine. With `tpm`, the TPM is asked too, which can take seconds. */
  fingerprint(request: { readonly showValues: boolean; readonly tpm: boolean }): Promise<NativeFingerprint>;
  /** Binds a new secret to this machine. `file` is the text of a machine file (docs/format.md, section 12): public. */
  exportMachine(policy: NativeMachinePolicy): Promise<NativeBound & { readonly file: Uint8Array }>;
  /** Checks a machine file and that no weaker set opens than demanded. `binding` is the public part of a `hardware` recipient. */
  parseMachineFile(
    file: Uint8Array,
    demand: { readonly require: readonly NativeFactorName[]; readonly atLeast: number },
  ): { readonly binding: Uint8Array; readonly publicKey: Uint8Array; readonly terms: NativeMachineTerms };
  /** A new device key, sealed to this machine in a new file (0600). */
  generateSealedKey(path: string, policy: NativeMachinePolicy): Promise<NativeBound & { readonly key: KeyHandle }>;
  /** Of this build. `id`: 16 hex digits. */
  salts(): { readonly id: string; readonly default: boolean };
  /** A new file of random salts (0600). */
  writeSaltsFile(path: string): Promise<void>;
}
