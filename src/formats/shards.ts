/** Reads in which file of a sharded model a tensor lies: `*.safetensors.index.json`, as Hugging Face's libraries write it. */
import { isObject, parseJson } from './json.js';
import { besides } from './onnx-tensor.js';
import type { RangeReader } from './reader.js';
import { MAX_TENSORS, malformed, quoted, tooMuch } from './tensor.js';

const MAX_INDEX_BYTES = 100_000_000;

/** Where an index says that a tensor is. */
interface Shard {
  /** The name of the index. */
  readonly index: string;
  readonly file: string;
}

/** The shards of all indexes of a model, by the name of the tensor. A name that two indexes have is in the first one's file. */
export async function readShardMap(files: ReadonlyMap<string, RangeReader>): Promise<ReadonlyMap<string, Shard>> {
  const shards = new Map<string, Shard>();
  for (const [index, reader] of files) {
    if (!index.endsWith('.safetensors.index.json')) continue;
    for (const [name, file] of await readIndex(index, reader, files)) if (!shards.has(name)) shards.set(name, { index, file });
  }
  return shards;
}

async function readIndex(
  index: string,
  reader: RangeReader,
  files: ReadonlyMap<string, RangeReader>,
): Promise<readonly (readonly [name: string, file: string])[]> {
  if (reader.size > MAX_INDEX_BYTES) throw tooMuch(index, `an index has at most ${MAX_INDEX_BYTES} bytes`);
  const json = parseJson(new TextDecoder().decode(await reader.read(0, reader.size)), 2 * MAX_TENSORS, {
    malformed: (what) => malformed(index, what),
    tooMuch: (what) => tooMuch(index, what),
  });
  const map = isObject(json) ? json.get('weight_map') : undefined;
  if (!isObject(map)) throw malformed(index, 'it has no weight_map');
  return [...map].map(([name, location]) => {
    const file = typeof location === 'string' ? besides(index, location) : undefined;
    if (file === undefined || !files.has(file)) throw malformed(index, `${quoted(name)} lies in no file of the model`);
    return [name, file];
  });
}
