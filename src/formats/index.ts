/** Model files: their format, and where the tensors of a file or of a whole model lie. */
import { ModelGuardError } from '../errors.js';
import { gguf, isGguf } from './gguf.js';
import { isOnnx, onnx } from './onnx.js';
import type { RangeReader } from './reader.js';
import { isSafetensors, safetensors } from './safetensors.js';
import { readShardMap } from './shards.js';
import { inTwoFiles, malformed, quoted, type TensorInfo } from './tensor.js';

export type { RangeReader } from './reader.js';
export type { TensorInfo } from './tensor.js';

type ModelFormat = 'safetensors' | 'gguf' | 'onnx';

/** The files of a model by name. */
export type ModelFiles = ReadonlyMap<string, RangeReader>;

/** Enough to tell the formats apart. */
const START = 16;

/** The format that a file has by its content, or else by its extension. */
async function formatOf(name: string, reader: RangeReader): Promise<ModelFormat | undefined> {
  const start = await reader.read(0, Math.min(START, reader.size));
  if (isSafetensors(start)) return 'safetensors';
  if (isGguf(start)) return 'gguf';
  if (isOnnx(start)) return 'onnx';
  const [, extension] = /\.(safetensors|gguf|onnx)$/i.exec(name) ?? [];
  return extension?.toLowerCase() as ModelFormat | undefined;
}

/** `._model.safetensors`: macOS writes a file's attributes into such a one, where its file system keeps none. */
const isAppleDouble = (file: string): boolean => /(?:^|\/)\._[^/]*$/.test(file);

/** The tensors of one file; undefined where its format is none of those with a table. `files`: for external data of ONNX. */
async function tableOf(name: string, reader: RangeReader, files: ModelFiles): Promise<readonly TensorInfo[] | undefined> {
  switch (await formatOf(name, reader)) {
    case 'safetensors':
      return safetensors(name, reader);
    case 'gguf':
      return gguf(name, reader);
    case 'onnx':
      return onnx(name, reader, (other) => files.get(other)?.size);
    default:
      return undefined;
  }
}

const noTable = (what: string): ModelGuardError =>
  new ModelGuardError('SOURCE_UNSUPPORTED', `${what} has no table of tensors`, {
    advice: 'Tensors are found in safetensors, GGUF and ONNX files; read others whole (bytes, read).',
  });

/**
 * The tensors of one file of a model.
 * @throws SOURCE_UNSUPPORTED where it is no safetensors, GGUF or ONNX file · TENSORS_MALFORMED, LIMIT_EXCEEDED, VERSION_UNSUPPORTED; what the reader
 * throws
 */
export async function fileTensors(name: string, files: ModelFiles): Promise<readonly TensorInfo[]> {
  const reader = files.get(name);
  const table = reader && (await tableOf(name, reader, files));
  if (!table) throw noTable(quoted(name));
  return table;
}

/**
 * The tensors of all files of a model. Where a `*.safetensors.index.json` says in which shard a tensor is, that one counts among the shards and
 * the files beside the index, and none may be missing.
 * @throws INVALID_ARGUMENT where two files have a tensor of the same name, and no index decides between them; what {@link fileTensors} throws
 */
export async function modelTensors(files: ModelFiles): Promise<readonly TensorInfo[]> {
  const shards = await readShardMap(files);
  const found = new Map<string, { readonly file: string; readonly tensor: TensorInfo }>();
  let tables = 0;
  for (const [file, reader] of files) {
    if (isAppleDouble(file)) continue;
    const table = await tableOf(file, reader, files);
    if (!table) continue;
    tables += 1;
    for (const tensor of table) {
      const shard = shards.get(tensor.name);
      if (shard && shard.file !== file && shard.indexes.some((index) => index.decidesFor(file))) continue;
      const other = found.get(tensor.name);
      if (other) throw inTwoFiles(tensor.name, other.file, file);
      found.set(tensor.name, { file, tensor });
    }
  }
  if (tables === 0) throw noTable('This model');
  for (const [name, { indexes, file }] of shards)
    if (found.get(name)?.file !== file)
      throw malformed(indexes[0].name, `${quoted(name)} is not in ${quoted(file)}, where it must be`);
  return [...found.values()].map(({ tensor }) => tensor);
}
