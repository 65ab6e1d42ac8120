/** Tensors of whole models: formats by content, shards, names in several files. If this fails, a name gives the tensor of another file. */
import { describe, expect, it } from 'vitest';
import { fileTensors, modelTensors } from '../../src/formats/index.js';
import { codeOf, failureOf } from '../support/failures.js';
import { ggufValue, modelOf, onnxProto, writeGguf, writeSafetensors } from '../support/tensor-files.js';

const { external, graph, initializer, model, tensor } = onnxProto;
const weights = (...names: readonly string[]): Uint8Array =>
  writeSafetensors(names.map((name) => ({ name, dtype: 'U8', shape: [4], bytes: new Uint8Array(4) })));
const index = (map: unknown): Uint8Array =>
  Uint8Array.from(Buffer.from(JSON.stringify({ metadata: { total_size: 8 }, weight_map: map })));
const where = async (files: Readonly<Record<string, Uint8Array>>) =>
  Object.fromEntries((await modelTensors(modelOf(files))).map(({ name, place }) => [name, place?.file]));

describe('a format', () => {
  it.each([
    ['safetensors', weights('a'), 1],
    ['GGUF', writeGguf([]), 0],
    ['ONNX', model(graph()), 0],
  ])('is found by content: %s', async (_, bytes, count) => {
    for (const name of ['model.bin', 'model.gguf', 'model.onnx', 'model'])
      expect(await fileTensors(name, modelOf({ [name]: bytes }))).toHaveLength(count);
  });

  it.each(['a.safetensors', 'a.GGUF', 'a.onnx'])('is found by extension where the content is none: %s', async (name) => {
    expect(await codeOf(() => fileTensors(name, modelOf({ [name]: Uint8Array.of(0xff) })))).toBe('TENSORS_MALFORMED');
  });

  it('that has no table is refused', async () => {
    const savedModel = Uint8Array.of(0x08, 0x01, 0x12, 0x20, 0x0a, 0x1e);
    expect(await codeOf(() => fileTensors('saved_model.pb', modelOf({ 'saved_model.pb': savedModel })))).toBe(
      'SOURCE_UNSUPPORTED',
    );
    expect(await codeOf(() => fileTensors('a.bin', modelOf({ 'a.bin': new Uint8Array(9) })))).toBe('SOURCE_UNSUPPORTED');
    expect(await codeOf(() => modelTensors(modelOf({ 'a.bin': new Uint8Array(9), 'b.txt': new Uint8Array(0) })))).toBe(
      'SOURCE_UNSUPPORTED',
    );
  });
});

describe('a model of several files', () => {
  it('has the tensors of all its weight files, and passes over the rest', async () => {
    expect(
      await where({
        'config.json': new Uint8Array(3),
        'a.safetensors': weights('x'),
        'sub/b.gguf': writeGguf([]),
        'c.safetensors': weights('y'),
      }),
    ).toEqual({
      x: 'a.safetensors',
      y: 'c.safetensors',
    });
  });

  it('passes over the files that macOS writes beside others', async () => {
    const attributes = Uint8Array.of(0, 5, 22, 7);
    expect(
      await where({
        '._a.safetensors': attributes,
        'a.safetensors': weights('x'),
        'sub/._m.safetensors.index.json': attributes,
        'sub/._b.safetensors': attributes,
        'sub/c._d.safetensors': weights('y'),
      }),
    ).toEqual({ x: 'a.safetensors', y: 'sub/c._d.safetensors' });
  });

  it('says that a table above a limit can be passed by', async () => {
    const keys = writeGguf([], { counts: { keys: 65_537 }, metadata: [['a', ggufValue.text('-'.repeat(1e6))]] });
    const error = await failureOf(() => where({ 'a.gguf': keys }));
    expect(error).toMatchObject({ code: 'LIMIT_EXCEEDED', message: expect.not.stringContaining('docs/format.md') });
    expect(error.message).toContain('(bytes, read)');
  });

  it('finds external data beside the ONNX file', async () => {
    const net = model(graph(initializer(tensor('w', 1, [1]), external({ location: 'w.bin' }))));
    expect(await where({ 'sub/net.onnx': net, 'sub/w.bin': new Uint8Array(4) })).toEqual({ w: 'sub/w.bin' });
  });

  it('is refused where two files have the same name, with both named', async () => {
    const error = await failureOf(() => where({ 'a.safetensors': weights('x'), 'b.safetensors': weights('x') }));
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.message).toContain('"a.safetensors" and "b.safetensors"');
  });
});

describe('the index of shards', () => {
  const name = 'sub/model.safetensors.index.json';
  it('says which file counts', async () => {
    const files = { 'sub/1.safetensors': weights('x', 'y'), 'sub/2.safetensors': weights('x', 'z') };
    expect(await where({ ...files, [name]: index({ x: '2.safetensors', z: '2.safetensors' }) })).toEqual({
      x: 'sub/2.safetensors',
      y: 'sub/1.safetensors',
      z: 'sub/2.safetensors',
    });
  });

  it('decides for the files that it names, in other folders too', async () => {
    expect(
      await where({
        'a/1.safetensors': weights('x'),
        'b/2.safetensors': weights('x', 'y'),
        'm.safetensors.index.json': index({ x: 'a/1.safetensors', y: 'b/2.safetensors' }),
        'a/m.safetensors.index.json': index({ x: '1.safetensors' }),
        'a/consolidated.safetensors': weights('x'),
      }),
    ).toEqual({ x: 'a/1.safetensors', y: 'b/2.safetensors' });
  });

  const te = { 'te/1.safetensors': weights('x'), 'te/m.safetensors.index.json': index({ x: '1.safetensors' }) };
  it.each([
    [
      'two indexes in two folders',
      { ...te, 'te2/1.safetensors': weights('x'), 'te2/m.safetensors.index.json': index({ x: '1.safetensors' }) },
      '"te/1.safetensors" and "te2/1.safetensors"',
    ],
    ['a file in another folder', { ...te, 'te2/m.safetensors': weights('x') }, '"te/1.safetensors" and "te2/m.safetensors"'],
    ['a file in a folder within', { ...te, 'te/in/m.safetensors': weights('x') }, '"te/1.safetensors" and "te/in/m.safetensors"'],
    [
      'two indexes in one folder',
      { ...te, 'te/1.fp16.safetensors': weights('x'), 'te/m.fp16.safetensors.index.json': index({ x: '1.fp16.safetensors' }) },
      '"te/1.safetensors" and "te/1.fp16.safetensors"',
    ],
    [
      'two other files',
      { ...te, 'a.safetensors': weights('y'), 'b.safetensors': weights('y') },
      '"a.safetensors" and "b.safetensors"',
    ],
  ])('leaves no weights out: a name in %s is refused', async (_, files, both) => {
    const error = await failureOf(() => where(files));
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.message).toContain(both);
  });

  it('may have members of any kind beside its map, but not nested deeply', async () => {
    const withMember = (json: string): Record<string, Uint8Array> => ({
      'sub/1.safetensors': weights('x'),
      [name]: Uint8Array.from(Buffer.from(`{"metadata":${json}, "weight_map":{"x":"1.safetensors"}}`)),
    });
    const members = '{"a":[1, -2.5e3, true, false, null, "b", {}, [[]]], "a":{"c":{"d":[]}}}';
    expect(await where(withMember(members))).toEqual({ x: 'sub/1.safetensors' });
    expect(await codeOf(() => where(withMember('['.repeat(1e6))))).toBe('LIMIT_EXCEEDED');
    for (const wrong of ['nul', '[1,]', '{"a"}', '01', '"'])
      expect(await codeOf(() => where(withMember(wrong)))).toBe('TENSORS_MALFORMED');
  });

  it('is not satisfied by a file of another folder', async () => {
    const files = { ...te, 'te/1.safetensors': weights('y'), 'te2/m.safetensors': weights('x') };
    expect(await codeOf(() => where(files))).toBe('TENSORS_MALFORMED');
  });

  it.each([
    ['a tensor that its shard lacks', index({ y: '1.safetensors' })],
    ['a file that the model lacks', index({ x: '3.safetensors' })],
    ['a file outside of the model', index({ x: '../1.safetensors' })],
    ['a number for a file', index({ x: 1 })],
    ['a list for a file', index({ x: [1] })],
    ['a list for its map', index(['1.safetensors'])],
    ['bytes behind it', Uint8Array.from(Buffer.from('{"weight_map":{}}{}'))],
    ['no map', Uint8Array.from(Buffer.from('{}'))],
    ['a name twice', Uint8Array.from(Buffer.from('{"weight_map":{"x":"1.safetensors","x":"1.safetensors"}}'))],
  ])('is refused with %s', async (_, bytes) => {
    expect(await codeOf(() => where({ 'sub/1.safetensors': weights('x'), [name]: bytes }))).toBe('TENSORS_MALFORMED');
  });
});
