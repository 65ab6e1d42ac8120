/**
 * @huggingface/transformers takes a folder model through its custom cache, which answers for every file of the repository: nothing is
 * fetched, nothing is written.
 */
import { readFileSync } from 'node:fs';
import { env, type FeatureExtractionPipeline, pipeline } from '@huggingface/transformers';
import { expect, test, vi } from 'vitest';
import { onnxProto, proto } from '../support/tensor-files.js';
import { protectedModel } from './protected.js';
import { valueInfo } from './value-info.js';

const [FLOAT, INT64] = [1, 7];
const WORDS = ['[PAD]', '[UNK]', 'hello', 'world'];
const text = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

/** Looks up a row of `rows` for each token: the smallest model of features. */
function tinyRepository(rows: Float32Array, width: number): Record<string, Uint8Array> {
  const graph = onnxProto.graph(
    onnxProto.node(
      proto.bytes(1, 'rows'),
      proto.bytes(1, 'input_ids'),
      proto.bytes(2, 'last_hidden_state'),
      proto.bytes(4, 'Gather'),
    ),
    proto.bytes(2, 'tiny'),
    onnxProto.initializer(onnxProto.tensor('rows', FLOAT, [WORDS.length, width]), onnxProto.raw(new Uint8Array(rows.buffer))),
    proto.bytes(11, valueInfo('input_ids', INT64, ['batch', 'length'])),
    proto.bytes(11, valueInfo('attention_mask', INT64, ['batch', 'length'])),
    proto.bytes(12, valueInfo('last_hidden_state', FLOAT, ['batch', 'length', width])),
  );
  return {
    'config.json': text({ model_type: 'bert', architectures: ['BertModel'], hidden_size: width }),
    'tokenizer_config.json': text({ tokenizer_class: 'PreTrainedTokenizerFast', pad_token: '[PAD]', unk_token: '[UNK]' }),
    'tokenizer.json': text({
      version: '1.0',
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'Whitespace' },
      post_processor: null,
      decoder: null,
      model: { type: 'WordLevel', vocab: Object.fromEntries(WORDS.map((word, index) => [word, index])), unk_token: '[UNK]' },
    }),
    'onnx/model.onnx': onnxProto.model(proto.bytes(8, proto.number(2, 17)), graph),
  };
}

/** The recipe of docs/runtimes.md, given what it imports. */
function recipe(): (...given: readonly unknown[]) => Promise<FeatureExtractionPipeline> {
  const page = readFileSync(new URL('../../docs/runtimes.md', import.meta.url), 'utf8');
  const [, block = ''] = /### transformers\.js.*?```js\n(.*?)```/s.exec(page) ?? [];
  const [imports, ...body] = block.split('\n');
  expect(imports).toBe("import { env, pipeline } from '@huggingface/transformers';");
  const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
  return AsyncFunction('env', 'pipeline', 'model', `${body.join('\n')}\nreturn extract;`) as ReturnType<typeof recipe>;
}

test('a pipeline loads all its files from a protected folder, by the recipe of the documentation', async () => {
  const rows = Float32Array.from({ length: WORDS.length * 4 }, (_, index) => index / 8);
  const model = await protectedModel(tinyRepository(rows, 4));
  const fetched = vi.fn(async () => new Response('', { status: 404 }));
  env.fetch = fetched;
  const extract = await recipe()(env, pipeline, model);
  const features = await extract('hello world');
  expect(features.dims).toEqual([1, 2, 4]);
  expect(Array.from(features.data as Float32Array)).toEqual([...rows.slice(8, 16)]);
  expect(fetched).not.toHaveBeenCalled();
});
