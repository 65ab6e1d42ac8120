/** Reads in which file of a sharded model a tensor lies: `*.safetensors.index.json`, as Hugging Face's libraries write it. */
import { JsonReader } from './json.js';
import type { RangeReader } from './reader.js';
import { besides, inTwoFiles, MAX_TENSORS, malformed, quoted, tooMuch } from './tensor.js';

const MAX_INDEX_BYTES = 100_000_000;
/** Of an index itself; common ones have two. */
const MAX_MEMBERS = 1024;

/** The file that has a tensor, by the indexes that name it: one, or several that agree. */
interface Shard {
  readonly file: string;
  readonly indexes: [ShardIndex, ...ShardIndex[]];
}

/** An index of shards. It decides for the files that it names, and for those in its own folder. */
class ShardIndex {
  readonly name: string;
  readonly #named: ReadonlySet<string>;

  constructor(name: string, named: ReadonlySet<string>) {
    this.name = name;
    this.#named = named;
  }

  decidesFor(file: string): boolean {
    return folderOf(file) === folderOf(this.name) || this.#named.has(file);
  }
}

/**
 * The shards of all indexes of a model, by the name of the tensor.
 * @throws INVALID_ARGUMENT where two indexes give a name different files · TENSORS_MALFORMED, LIMIT_EXCEEDED; what the reader throws
 */
export async function readShardMap(files: ReadonlyMap<string, RangeReader>): Promise<ReadonlyMap<string, Shard>> {
  const shards = new Map<string, Shard>();
  for (const [name, reader] of files) {
    if (!/(?:^|\/)(?!\._)[^/]*\.safetensors\.index\.json$/.test(name)) continue;
    const entries = await readIndex(name, reader, files);
    const index = new ShardIndex(name, new Set(entries.values()));
    for (const [tensor, file] of entries) {
      const other = shards.get(tensor);
      if (other && other.file !== file) throw inTwoFiles(tensor, other.file, file);
      if (other) other.indexes.push(index);
      else shards.set(tensor, { file, indexes: [index] });
    }
  }
  return shards;
}

const folderOf = (file: string): string => file.slice(0, file.lastIndexOf('/') + 1);

async function readIndex(
  index: string,
  reader: RangeReader,
  files: ReadonlyMap<string, RangeReader>,
): Promise<ReadonlyMap<string, string>> {
  if (reader.size > MAX_INDEX_BYTES) throw tooMuch(index, `an index has at most ${MAX_INDEX_BYTES} bytes`);
  const json = new JsonReader(new TextDecoder().decode(await reader.read(0, reader.size)), {
    malformed: (what) => malformed(index, what),
    tooMuch: (what) => tooMuch(index, what),
  });
  const map = new Map<string, string>();
  let hasMap = false;
  json.object(MAX_MEMBERS, (member) => {
    if (member !== 'weight_map') return json.skip();
    hasMap = true;
    json.object(MAX_TENSORS, (name) => {
      const file = besides(index, json.string());
      if (file === undefined || !files.has(file)) throw malformed(index, `${quoted(name)} lies in no file of the model`);
      map.set(name, file);
    });
  });
  json.end();
  if (!hasMap) throw malformed(index, 'it has no weight_map');
  return map;
}
