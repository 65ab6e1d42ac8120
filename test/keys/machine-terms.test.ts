/** Warnings about a TPM's part in what was bound. If this fails, an owner is not told which PCRs bind to no boot state. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { boundTo, TPM_UNMEASURED_WARNING } from '../../src/keys/machine-policy.js';
import type { NativeMachineTerms } from '../../src/native/binding.js';

const terms: NativeMachineTerms = { factors: [], atLeast: 1, tpm: true, saltsId: '0011223344556677', salts: 'default' };

describe('boundTo', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('names each PCR without a measurement', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    expect(boundTo({ terms, tpmUnmeasured: (1 << 0) | (1 << 7) | (1 << 23) })).toBe(terms);
    expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('PCR 0, 7, 23 of the TPM'), {
      type: 'ModelGuardWarning',
      code: TPM_UNMEASURED_WARNING,
    });
  });

  it('does not warn where each PCR holds a measurement', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    expect(boundTo({ terms })).toBe(terms);
    expect(warn).not.toHaveBeenCalled();
  });
});
