/** A machine for tests of the reference, bound without scrypt. */
import type { seeded } from '../support/seed.js';
import { concat, u16, u32 } from './bytes.js';
import type { FactorName } from './helper.js';
import { type BindOptions, type Bound, bind, type FactorValues, factorBytes, type stretchFactor } from './machines.js';
import { digest } from './primitives.js';

export const SERVER: FactorValues = {
  cpu: 'AMD EPYC 7543P 32-Core Processor',
  gpu: '10de:2235/10de:145a, 10de:2235/10de:145a',
  memory: '262144 MiB',
  drive: 'S64GNE0R500123',
  uuid: '4c4c4544-0042-3510-8054-b4c04f4a3732',
  tpm: `000b${'5a'.repeat(32)}`,
};

/** Stands in for scrypt where a test opens hundreds of times; one test of machines.test.ts runs the real one. */
export const quick: typeof stretchFactor = (name, value, salt) => digest('sha256', factorBytes(name, value), salt);
export const quickBind = (values: FactorValues, options: BindOptions): Bound => bind(values, { ...options, stretch: quick });

export const pick = (names: readonly FactorName[]): FactorValues => Object.fromEntries(names.map((name) => [name, SERVER[name]]));

/** A TPM blob of the right form with random contents. */
export const tpmBlob = (random: ReturnType<typeof seeded>, inner = 90): Uint8Array => {
  const sized = (value: Uint8Array): Uint8Array => concat(u16(value.length), value);
  return concat(u32(1 << 7), sized(random.bytes(34)), sized(sized(random.bytes(inner))), sized(sized(random.bytes(60))));
};
