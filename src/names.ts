/** Names of models, versions and formats: `[a-z0-9][a-z0-9._-]{0,127}` (docs/format.md, section 2). */
const NAME = /^[a-z0-9][a-z0-9._-]{0,127}$/;
const MAX = 128;

export const isName = (text: string): boolean => text.length <= MAX && NAME.test(text);

/** Characters of a text that are looked at for a name of it: letters may be dropped on the way. */
const LOOKED_AT = 1024;

/** The nearest name that fits the grammar: a proposal in errors, a default of the command line. */
export function normaliseName(text: string): string {
  const name = text
    .slice(0, LOOKED_AT)
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, MAX)
    .replace(/[-.]+$/, '');
  return name || 'model';
}

const FORMATS: Readonly<Record<string, string>> = {
  onnx: 'onnx',
  engine: 'tensorrt',
  plan: 'tensorrt',
  trt: 'tensorrt',
  gguf: 'gguf',
  safetensors: 'safetensors',
  pt: 'pytorch',
  pth: 'pytorch',
  bin: 'pytorch',
  keras: 'keras',
  h5: 'keras',
  hdf5: 'keras',
  tflite: 'tflite',
  pb: 'tensorflow',
};

/** What a file is, from its extension. */
export function formatOf(path: string): string {
  const extension = /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase();
  return (extension && FORMATS[extension]) ?? 'unknown';
}
