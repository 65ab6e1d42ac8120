/** Headers of safetensors files. If this fails, a tensor is read from the wrong place, or a lying header costs memory or time. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { safetensors } from '../../src/formats/safetensors.js';
import { codeOf, failureOf } from '../support/failures.js';
import { needShared } from '../support/shared.js';
import {
  CountingReader,
  filesBelow,
  rawSafetensors,
  readWhole,
  type WrittenTensor,
  writeSafetensors,
} from '../support/tensor-files.js';

const read = (bytes: Uint8Array) => safetensors('a.safetensors', new CountingReader(bytes));
const SIZES = { U8: 1, F16: 2, F32: 4, F64: 8 } as const;

const tensors: fc.Arbitrary<readonly WrittenTensor[]> = fc
  .uniqueArray(
    fc.record({
      name: fc
        .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
        .filter((name) => name !== '__metadata__' && name !== '__proto__'),
      dtype: fc.constantFrom(...(Object.keys(SIZES) as (keyof typeof SIZES)[])),
      shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
    }),
    { maxLength: 8, selector: ({ name }) => name },
  )
  .map((all) =>
    all.map(({ name, dtype, shape }, index) => {
      const length = shape.reduce((product, size) => product * size, SIZES[dtype]);
      return { name, dtype, shape, bytes: new Uint8Array(length).fill(index + 1) };
    }),
  );

describe('a valid file', () => {
  it('shows each tensor with its own bytes', async () => {
    await fc.assert(
      fc.asyncProperty(tensors, async (written) => {
        const bytes = writeSafetensors(written, { origin: 'test' });
        const found = new Map((await read(bytes)).map((tensor) => [tensor.name, tensor]));
        expect(found.size).toBe(written.length);
        for (const { name, dtype, shape, bytes: own } of written) {
          const { place, ...facts } = found.get(name) ?? {};
          expect(facts).toEqual({ name, dtype, shape });
          expect(Buffer.compare(bytes.subarray(place?.offset, (place?.offset ?? 0) + (place?.length ?? 0)), own)).toBe(0);
        }
      }),
    );
  });

  it('may have null for metadata, as for the reference implementation', async () => {
    expect(await read(rawSafetensors('{"__metadata__":null}'))).toEqual([]);
  });

  it('is read without its tensors', async () => {
    const reader = new CountingReader(writeSafetensors([{ name: 'w', dtype: 'U8', shape: [1e6], bytes: new Uint8Array(1e6) }]));
    await safetensors('a.safetensors', reader);
    expect(reader.given).toBeLessThan(200);
  });

  it('may have elements of less than a byte', async () => {
    const [tensor] = await read(writeSafetensors([{ name: 'w', dtype: 'F4', shape: [2, 3], bytes: new Uint8Array(3) }]));
    expect(tensor?.place?.length).toBe(3);
  });

  it('of other writers is read, and a malformed one refused', async (context) => {
    for (const file of filesBelow(needShared(context, 'models'), '.safetensors')) {
      const task = read(readWhole(file));
      if (file.endsWith('.err.safetensors'))
        expect(['TENSORS_MALFORMED', 'LIMIT_EXCEEDED', 'VERSION_UNSUPPORTED']).toContain(await codeOf(() => task));
      else expect((await task).length, file).toBeGreaterThan(0);
    }
  });
});

describe('a header is refused', () => {
  const f32 = '"dtype":"F32"';
  const one = `{"a":{${f32},"shape":[1],"data_offsets":[0,4]}}`;
  it.each([
    ['with a name twice', `{"a":{${f32},"shape":[1],"data_offsets":[0,4]},"a":{${f32},"shape":[1],"data_offsets":[0,4]}}`, 4],
    [
      'with a name twice, once escaped',
      `{"a":{${f32},"shape":[1],"data_offsets":[0,4]},"\\u0061":{${f32},"shape":[0],"data_offsets":[4,4]}}`,
      4,
    ],
    ['with a member twice', `{"a":{${f32},${f32},"shape":[1],"data_offsets":[0,4]}}`, 4],
    ['with an unknown member', `{"a":{${f32},"shape":[1],"data_offsets":[0,4],"more":1}}`, 4],
    ['with a hole in front', `{"a":{${f32},"shape":[1],"data_offsets":[4,8]}}`, 8],
    ['with a hole between', `{"a":{${f32},"shape":[1],"data_offsets":[0,4]},"b":{${f32},"shape":[1],"data_offsets":[8,12]}}`, 12],
    [
      'with tensors that overlap',
      `{"a":{${f32},"shape":[2],"data_offsets":[0,8]},"b":{${f32},"shape":[2],"data_offsets":[4,12]}}`,
      12,
    ],
    ['that leaves bytes behind', one, 5],
    ['that reaches beyond the file', one, 3],
    ['whose shape gives other bytes', `{"a":{${f32},"shape":[2],"data_offsets":[0,4]}}`, 4],
    ['whose product overflows to the right size', `{"a":{${f32},"shape":[4294967296,1073741824,4,0],"data_offsets":[0,4]}}`, 4],
    ['of 2^53 elements', `{"a":{"dtype":"U8","shape":[9007199254740991],"data_offsets":[0,9007199254740991]}}`, 4],
    ['with a negative dimension', `{"a":{${f32},"shape":[-1,-1],"data_offsets":[0,4]}}`, 4],
    ['with offsets that run back', `{"a":{${f32},"shape":[0],"data_offsets":[4,0]}}`, 4],
    ['with half an element', `{"a":{"dtype":"F4","shape":[1],"data_offsets":[0,0]}}`, 0],
    ['with a dtype that is a number', `{"a":{"dtype":1,"shape":[1],"data_offsets":[0,4]}}`, 4],
    ['with metadata that are no text', '{"__metadata__":{"a":1}}', 0],
    ['that is a list', '[1]', 0],
    ['with bytes behind its object', '{}{}', 0],
    ['that ends early', '{"a"', 0],
    ['with half a surrogate pair', '{"__metadata__":{"a":"\\ud800"}}', 0],
    ['nested deeply', `{"a":${'['.repeat(1e6)}`, 0],
    ['with a line break in a name', '{"__metadata__":{"a\n":""}}', 0],
  ])('%s', async (_, header, data) => {
    expect(await codeOf(() => read(rawSafetensors(header, new Uint8Array(data))))).toBe('TENSORS_MALFORMED');
  });

  it.each(['F2_E1M0', 'constructor'])('with a dtype that this release does not know: %s', async (dtype) => {
    const header = `{"a":{"dtype":"${dtype}","shape":[1],"data_offsets":[0,4]}}`;
    const error = await failureOf(() => read(rawSafetensors(header, new Uint8Array(4))));
    expect(error).toMatchObject({ code: 'VERSION_UNSUPPORTED', message: expect.stringContaining(`"a" has the type "${dtype}"`) });
  });

  it('that is not UTF-8', async () => {
    expect(await codeOf(() => read(rawSafetensors(Uint8Array.of(0x7b, 0x22, 0xff, 0x22))))).toBe('TENSORS_MALFORMED');
  });

  it.each([
    ['with a million texts', `{"__metadata__":{${Array.from({ length: 1e6 }, (_, i) => `"${i}":""`).join()}}}`],
    [
      'of a million tensors',
      `{${Array.from({ length: 1e6 }, (_, i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`).join()}}`,
    ],
  ])('%s', async (_, header) => {
    expect(await codeOf(() => read(rawSafetensors(header)))).toBe('LIMIT_EXCEEDED');
  });

  const many = (value: string): string => Array.from({ length: 2e6 }, () => value).join();
  it.each([
    ['objects for metadata', `{"__metadata__":[${many('{}')}]}`, 16],
    ['objects in metadata', `{"__metadata__":{"a":{${many('"":0')}}}}`, 21],
    ['objects in a shape', `{"a":{"shape":[${many('{}')}]}}`, 15],
    ['objects for a tensor', `{"a":[${many('{}')}]}`, 5],
    ['an object in a tensor', `{"a":{"dtype":{${many('"":0')}}}}`, 14],
  ])('with millions of %s, at the first: the others are never in memory', async (_, header, at) => {
    const error = await failureOf(() => read(rawSafetensors(header)));
    expect(error.code).toBe('TENSORS_MALFORMED');
    expect(error.message).toContain(`at character ${at} `);
  });

  it('with more than 64 dimensions, at the first one too many', async () => {
    const error = await failureOf(() => read(rawSafetensors(`{"a":{"shape":[${many('1')}]}}`)));
    expect(error).toMatchObject({ code: 'TENSORS_MALFORMED', message: expect.stringContaining('more than 64') });
  });

  it.each([
    ['more than 100 MB', 100_000_001n, 2e8, 'LIMIT_EXCEEDED'],
    ['more than the file and than 100 MB', 100_000_001n, 1e6, 'TENSORS_MALFORMED'],
    ['2^63 bytes', 1n << 63n, 1e6, 'TENSORS_MALFORMED'],
    ['more than the file', 99_000_000n, 1e6, 'TENSORS_MALFORMED'],
  ])('that claims %s, before it is read', async (_, length, size, code) => {
    const bytes = rawSafetensors('{}');
    new DataView(bytes.buffer).setBigUint64(0, length, true);
    const reader = new CountingReader(bytes);
    const large = { size, read: (offset: number, count: number) => reader.read(offset, count) };
    expect(await codeOf(() => safetensors('a', large))).toBe(code);
    expect(reader.given).toBe(8);
  });
});
