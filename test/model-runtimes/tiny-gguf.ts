/** A llama of one layer with random weights, as GGUF: small enough for a test, whole enough for llama.cpp. */
import type { Random } from '../support/seed.js';
import { type GgufTensor, type GgufValue, ggufValue, writeGguf } from '../support/tensor-files.js';

const [WIDTH, INNER] = [32, 64];
/** Types of metadata values and of tokens, from ggml's gguf.md and llama.h. */
const [INT32, FLOAT32, STRING] = [5, 6, 8];
const [NORMAL, UNKNOWN, CONTROL, BYTE] = [1, 2, 3, 6];

const bytesOf = (write: (to: Buffer) => void): Uint8Array => {
  const out = Buffer.alloc(4);
  write(out);
  return out;
};
const float = (value: number) => bytesOf((to) => to.writeFloatLE(value));
const integer = (value: number) => bytesOf((to) => to.writeInt32LE(value));

const TOKENS: readonly (readonly [text: string, type: number])[] = [
  ['<unk>', UNKNOWN],
  ['<s>', CONTROL],
  ['</s>', CONTROL],
  ...Array.from({ length: 256 }, (_, byte) => [`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`, BYTE] as const),
  ...Array.from('abcdefghijklmnopqrstuvwxyz▁', (letter) => [letter, NORMAL] as const),
];

export function tinyGguf(random: Random): Uint8Array {
  const tensor = (name: string, ...sizes: readonly number[]): GgufTensor => {
    const count = sizes.reduce((product, size) => product * size, 1);
    const values = Float32Array.from(random.bytes(count), (byte) => (name.includes('norm') ? 1 : byte / 255 - 0.5));
    return { name, type: 0, sizes, bytes: new Uint8Array(values.buffer) };
  };
  const metadata: readonly (readonly [string, GgufValue])[] = [
    ['general.architecture', ggufValue.text('llama')],
    ['llama.context_length', ggufValue.u32(256)],
    ['llama.embedding_length', ggufValue.u32(WIDTH)],
    ['llama.block_count', ggufValue.u32(1)],
    ['llama.feed_forward_length', ggufValue.u32(INNER)],
    ['llama.attention.head_count', ggufValue.u32(2)],
    ['llama.attention.layer_norm_rms_epsilon', { type: FLOAT32, bytes: float(1e-5) }],
    ['tokenizer.ggml.model', ggufValue.text('llama')],
    [
      'tokenizer.ggml.tokens',
      ggufValue.array(
        STRING,
        TOKENS.map(([text]) => ggufValue.text(text).bytes),
      ),
    ],
    [
      'tokenizer.ggml.scores',
      ggufValue.array(
        FLOAT32,
        TOKENS.map((_, index) => float(-index)),
      ),
    ],
    [
      'tokenizer.ggml.token_type',
      ggufValue.array(
        INT32,
        TOKENS.map(([, type]) => integer(type)),
      ),
    ],
    ['tokenizer.ggml.bos_token_id', ggufValue.u32(1)],
    ['tokenizer.ggml.eos_token_id', ggufValue.u32(2)],
  ];
  const layer = (name: string, ...sizes: readonly number[]) => tensor(`blk.0.${name}.weight`, ...sizes);
  const tensors = [
    tensor('token_embd.weight', WIDTH, TOKENS.length),
    tensor('output_norm.weight', WIDTH),
    tensor('output.weight', WIDTH, TOKENS.length),
    layer('attn_norm', WIDTH),
    ...['attn_q', 'attn_k', 'attn_v', 'attn_output'].map((name) => layer(name, WIDTH, WIDTH)),
    layer('ffn_norm', WIDTH),
    layer('ffn_gate', WIDTH, INNER),
    layer('ffn_up', WIDTH, INNER),
    layer('ffn_down', INNER, WIDTH),
  ];
  return writeGguf(tensors, { metadata });
}
