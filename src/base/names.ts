/** Names of models, versions and formats: `[a-z0-9][a-z0-9._-]{0,127}` (docs/format.md, section 2). */
import type { ModelGuardErrorCode } from '../errors.js';
import { text } from './schemas.js';

/** Longer than a name may be: one that is a little too long is told what would fit. */
export const MAX_NAME = 1024;

export const name = text(MAX_NAME).superRefine((given, context) => {
  if (isName(given)) return;
  context.addIssue({
    code: 'custom',
    params: { code: 'NAME_INVALID' satisfies ModelGuardErrorCode },
    message: `${JSON.stringify(given.slice(0, 200))} does not match [a-z0-9][a-z0-9._-]{0,127}; ${JSON.stringify(normaliseName(given))} would`,
  });
});
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

/** The format of a file, from its extension. */
export function formatOf(path: string): string {
  const extension = /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase();
  return (extension && FORMATS[extension]) ?? 'unknown';
}
