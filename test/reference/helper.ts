/** Section 12: helper data, field by field, and back to the same bytes. */
import { Cursor, concat, must, u16 } from './bytes.js';

export const KIND = { cpu: 1, gpu: 2, memory: 3, drive: 4, uuid: 5, tpm: 6 } as const;
export type FactorName = keyof typeof KIND;
export const FACTORS: readonly FactorName[] = ['cpu', 'gpu', 'memory', 'drive', 'uuid', 'tpm'];

export interface BoundFactor {
  readonly name: FactorName;
  readonly required: boolean;
  readonly salt: Uint8Array;
  /** 32 bytes each, as stored; their number is the factor's weight. */
  readonly shares: readonly Uint8Array[];
}
export interface Helper {
  readonly saltsId: Uint8Array;
  readonly salt: Uint8Array;
  readonly threshold: number;
  readonly factors: readonly BoundFactor[];
  /** Empty: no TPM takes part. */
  readonly tpm: Uint8Array;
}

export const weightOf = (factors: readonly BoundFactor[]): number => factors.reduce((sum, { shares }) => sum + shares.length, 0);

const encodeFactor = ({ name, required, salt, shares }: BoundFactor): Uint8Array =>
  concat(Uint8Array.of(KIND[name], required ? 1 : 0, shares.length), salt, ...shares);

export const encodeHelper = ({ saltsId, salt, threshold, factors, tpm }: Helper): Uint8Array =>
  concat(saltsId, salt, Uint8Array.of(threshold, factors.length), ...factors.map(encodeFactor), u16(tpm.length), tpm);

function takeFactor(from: Cursor): BoundFactor {
  const kind = from.u8();
  const name = FACTORS[kind - 1];
  must(name !== undefined, `factor kind ${kind} is unknown`);
  const flags = from.u8();
  must(flags <= 1, 'a factor has unknown flags');
  const weight = from.u8();
  must(weight >= 1 && weight <= 16, 'a weight is 1 to 16');
  const salt = from.take(16);
  return { name, required: flags === 1, salt, shares: Array.from({ length: weight }, () => from.take(32)) };
}

/** `u32 PCR mask ‖ name of the primary key ‖ TPM2B_PUBLIC ‖ TPM2B_PRIVATE`, each but the mask with a length before it. */
export function checkTpmBlob(blob: Uint8Array): void {
  const from = new Cursor(blob);
  from.u32();
  const takeSized = (): Cursor => new Cursor(from.take(from.u16()));
  takeSized();
  for (const what of ['TPM2B_PUBLIC', 'TPM2B_PRIVATE']) {
    const structure = takeSized();
    must(structure.u16() === structure.left, `the ${what} has another size than it says`);
  }
  must(from.left === 0, 'bytes follow the TPM blob');
}

/** Helper data where the cursor stands. */
export function takeHelper(from: Cursor): Helper {
  const saltsId = from.take(8);
  const salt = from.take(32);
  const threshold = from.u8();
  const n = from.u8();
  must(n >= 1 && n <= 6, 'helper data has 1 to 6 factors');
  const factors = Array.from({ length: n }, () => takeFactor(from));
  factors.forEach(({ name }, index) => {
    const before = factors[index - 1];
    must(before === undefined || KIND[before.name] < KIND[name], 'factors are not in ascending order');
  });
  must(threshold >= 1 && threshold <= weightOf(factors), 'the threshold is out of reach');
  const tpmLength = from.u16();
  must(tpmLength <= 2048, 'a TPM blob has at most 2,048 bytes');
  const tpm = from.take(tpmLength);
  if (tpm.length > 0) checkTpmBlob(tpm);
  return { saltsId, salt, threshold, factors, tpm };
}

/** Helper data and nothing else. */
export function parseHelper(bytes: Uint8Array): Helper {
  const from = new Cursor(bytes);
  const helper = takeHelper(from);
  must(from.left === 0, 'bytes follow the helper data');
  return helper;
}
