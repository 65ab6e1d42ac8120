/** The reference's helper data, checked without the addon: the bounds of every field. Only then may it judge the SDK. */
import { describe, expect, it } from 'vitest';
import { seeded } from '../support/seed.js';
import { refused } from '../support/wycheproof.js';
import { concat } from './bytes.js';
import { encodeHelper, type Helper, parseHelper, weightOf } from './helper.js';
import { quickBind, SERVER, tpmBlob } from './sample-machine.js';

const random = seeded('the reference and its helper data');

describe('helper data', () => {
  const bound = quickBind(SERVER, { threshold: 4, required: ['drive'], weights: { drive: 2, gpu: 16 } });
  const good = bound.helper;
  const [cpu, gpu, ...others] = good.factors;
  if (cpu === undefined || gpu === undefined) throw new Error('six factors');
  const bytes = encodeHelper(good);
  const N = 41;
  const FIRST = 42; // kind, flags, weight of the first factor
  const put = (at: number, value: number): Uint8Array => bytes.map((byte, index) => (index === at ? value : byte));
  const made = (change: Partial<Helper>): Uint8Array => encodeHelper({ ...good, ...change });

  it('encodes again to the same bytes', () => {
    const blob = tpmBlob(random);
    for (const helper of [good, { ...good, tpm: blob }, { ...good, factors: [cpu], threshold: 1 }]) {
      expect(encodeHelper(parseHelper(encodeHelper(helper)))).toEqual(encodeHelper(helper));
    }
    expect(parseHelper(bytes)).toEqual(good);
    expect(bytes.length).toBe(8 + 32 + 2 + 6 * (3 + 16) + 32 * weightOf(good.factors) + 2);
  });

  it('holds to the bounds of every field', () => {
    const sixteen = { ...cpu, shares: Array.from({ length: 16 }, () => random.bytes(32)) };
    const accepted: Readonly<Record<string, Uint8Array>> = {
      'a threshold of all the weight': made({ threshold: weightOf(good.factors) }),
      'a threshold of 1': made({ threshold: 1 }),
      'a weight of 16': made({ factors: [sixteen], threshold: 16 }),
      'every factor required': made({ factors: good.factors.map((factor) => ({ ...factor, required: true })) }),
      'the longest TPM blob': made({ tpm: tpmBlob(random, 2048 - 4 - 2 - 34 - 2 - 2 - 2 - 2 - 60) }),
    };
    for (const [what, helper] of Object.entries(accepted))
      expect(
        refused(() => parseHelper(helper)),
        what,
      ).toBe(false);
    const refusals: Readonly<Record<string, Uint8Array>> = {
      nothing: new Uint8Array(0),
      'a threshold of 0': made({ threshold: 0 }),
      'a threshold above the weight': made({ threshold: weightOf(good.factors) + 1 }),
      'no factors': made({ factors: [] }),
      'more factors than there are': put(N, 7),
      'more than 8 factors': put(N, 9),
      'fewer factors than there are': put(N, 5),
      'kind 0': put(FIRST, 0),
      'kind 7': put(FIRST, 7),
      'kind 255': put(FIRST, 255),
      'unknown flags': put(FIRST + 1, 2),
      'unknown flags beside the known one': put(FIRST + 1, 3),
      'the highest flag': put(FIRST + 1, 0x80),
      'a weight of 0': put(FIRST + 2, 0),
      'a weight of 0 without shares': made({ factors: [{ ...cpu, shares: [] }, gpu, ...others] }),
      'a weight of 17': made({ factors: [{ ...sixteen, shares: [...sixteen.shares, random.bytes(32)] }] }),
      'a weight of one more': put(FIRST + 2, 2),
      'factors in another order': made({ factors: [gpu, cpu, ...others] }),
      'a factor twice': made({ factors: [cpu, cpu, ...others] }),
      'the last factors exchanged': made({ factors: [...good.factors.slice(0, 4), ...good.factors.slice(4).reverse()] }),
      'a trailing byte': concat(bytes, Uint8Array.of(0)),
      'a TPM length without a TPM': put(bytes.length - 1, 1),
      'too long a TPM blob': made({ tpm: tpmBlob(random, 2048 - 4 - 2 - 34 - 2 - 2 - 2 - 2 - 60 + 1) }),
      'a TPM blob cut short': made({ tpm: tpmBlob(random).slice(0, -1) }),
      'a TPM blob and a byte': made({ tpm: concat(tpmBlob(random), Uint8Array.of(0)) }),
      'a TPM structure of another size than it says': made({
        tpm: tpmBlob(random).map((byte, at) => (at === 43 ? byte + 1 : byte)),
      }),
    };
    for (const [what, helper] of Object.entries(refusals))
      expect(
        refused(() => parseHelper(helper)),
        what,
      ).toBe(true);
  });

  it('is refused when cut anywhere', () => {
    for (let length = 0; length < bytes.length; length += 1)
      expect(refused(() => parseHelper(bytes.slice(0, length)))).toBe(true);
  });
});
