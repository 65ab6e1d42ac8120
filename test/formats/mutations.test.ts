/**
 * Damaged and lying model files, from the generators of the fuzzers in test/fuzz. If this fails, a hostile file makes the readers fail without a
 * code, read outside of the file or again and again, or promise bytes that no file has; or an honest file is refused.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ggufCases } from '../fuzz/gguf-cases.js';
import { onnxCases } from '../fuzz/onnx-cases.js';
import { safetensorsCases } from '../fuzz/safetensors-cases.js';
import { checkTable } from '../fuzz/table-oracle.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';

describe('a damaged file', () => {
  it.each([
    ['safetensors', safetensorsCases],
    ['gguf', ggufCases],
    ['onnx', onnxCases],
  ] as const)('of %s gives the tensors that are within the files, or an error with a code', async (format, cases) => {
    const { seed } = seeded(`damaged ${format}`);
    let accepted = 0;
    const property = fc.asyncProperty(cases, async (found) => {
      if (await checkTable(format, found)) accepted += 1;
    });
    await fc.assert(property, { seed, numRuns: scaled(2000, 200) });
    expect(accepted, 'no file was valid').toBeGreaterThan(0);
  });
});
