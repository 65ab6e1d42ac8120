/**
 * Reads where the tensors of an ONNX model lie: initializers of its graphs and of the graphs within, tensors in attributes (as of Constant), of
 * functions too. Source: onnx/onnx.proto3 in the repository of onnx, for the numbers of fields.
 */
import { bytes, type FileSizes, OnnxTensorReader, type RawBytes } from './onnx-tensor.js';
import { type Field, MessageReader } from './protobuf.js';
import { Cursor, type RangeReader } from './reader.js';
import { malformed, type TensorInfo, TensorTable } from './tensor.js';

const MODEL = { graph: 7, training: 20, function: 25 } as const;
const TRAINING = { initialization: 1, algorithm: 2 } as const;
const GRAPH = { node: 1, initializer: 5, sparse: 15 } as const;
const NODE = { attribute: 5 } as const;
const ATTRIBUTE = { tensor: 5, graph: 6, tensors: 10, graphs: 11, sparse: 22, sparses: 23 } as const;
const FUNCTION = { node: 7, attribute: 11 } as const;
const SPARSE = { values: 1, indices: 2 } as const;

/**
 * ONNX has no magic. Exporters begin with ir_version and producer_name; a SavedModel of TensorFlow begins with a number and a message, which is
 * no text.
 */
export function isOnnx(start: Uint8Array): boolean {
  const [irTag, irVersion = 0, nameTag, nameLength = 0, letter = 0] = start;
  const isShort = (value: number): boolean => value > 0 && value < 0x80;
  return irTag === 0x08 && isShort(irVersion) && nameTag === 0x12 && isShort(nameLength) && letter >= 0x20 && letter < 0x7f;
}

/**
 * The tensors of an ONNX model. An initializer of the main graph has its own name. Names within other graphs repeat, so these are named by
 * their place: `node[3].attribute[0].g/weight`, `node[7].attribute[0].t`, `function[0].node[2].attribute[0].t`. A sparse tensor has two entries, the
 * second with `.indices` behind its name. Only values in one piece have a place: raw_data, external data, and one packed run of floats.
 * @param sizes Those of all files of the model, for external data. Its places lie in another file than the model, and are equal or do not overlap.
 * @throws TENSORS_MALFORMED, LIMIT_EXCEEDED, VERSION_UNSUPPORTED for an unknown type; what the reader throws
 */
export async function onnx(file: string, reader: RangeReader, sizes: FileSizes): Promise<readonly TensorInfo[]> {
  const cursor = new Cursor(reader, file);
  const walk = new OnnxWalk(cursor, sizes);
  return await walk.model(reader.size);
}

/** Numbers the fields of a message, each field number from 0 on. */
class Numbering {
  readonly #counts = new Map<number, number>();

  next(field: Field): number {
    const index = this.#counts.get(field.number) ?? 0;
    this.#counts.set(field.number, index + 1);
    return index;
  }
}

class OnnxWalk {
  readonly #cursor: Cursor;
  readonly #messages: MessageReader;
  readonly #tensors: OnnxTensorReader;
  readonly #table: TensorTable;

  constructor(cursor: Cursor, sizes: FileSizes) {
    this.#cursor = cursor;
    this.#messages = new MessageReader(cursor);
    this.#tensors = new OnnxTensorReader(cursor, this.#messages, sizes);
    this.#table = new TensorTable(cursor.file);
  }

  async model(size: number): Promise<readonly TensorInfo[]> {
    const numbers = new Numbering();
    await this.#messages.message(size, (field) => {
      if (field.number === MODEL.graph) return this.#graph('', this.#single(numbers, field));
      if (field.number === MODEL.function) {
        const scope = `function[${numbers.next(field)}].`;
        return this.#nodes(scope, bytes(this.#cursor, field), FUNCTION.node, FUNCTION.attribute);
      }
      if (field.number === MODEL.training)
        return this.#training(`training_info[${numbers.next(field)}]`, bytes(this.#cursor, field));
      return undefined;
    });
    return this.#table.finish();
  }

  /** A message that may stand once in its parent. Readers of ONNX merge a second one, each in its own way: it is refused. */
  #single(numbers: Numbering, field: Field): RawBytes {
    if (numbers.next(field) > 0)
      throw malformed(this.#cursor.file, `a message that may stand once stands again at byte ${this.#cursor.position}`);
    return bytes(this.#cursor, field);
  }

  #training(scope: string, message: RawBytes): Promise<void> {
    const numbers = new Numbering();
    return this.#messages.message(end(message), (field) => {
      if (field.number === TRAINING.initialization) return this.#graph(`${scope}.initialization/`, this.#single(numbers, field));
      if (field.number === TRAINING.algorithm) return this.#graph(`${scope}.algorithm/`, this.#single(numbers, field));
      return undefined;
    });
  }

  #graph(scope: string, message: RawBytes): Promise<void> {
    const numbers = new Numbering();
    return this.#messages.message(end(message), (field) => {
      if (field.number === GRAPH.node)
        return this.#nodes(`${scope}node[${numbers.next(field)}].`, bytes(this.#cursor, field), 0, NODE.attribute);
      if (field.number === GRAPH.initializer) return this.#tensor((name) => `${scope}${name}`, bytes(this.#cursor, field));
      if (field.number === GRAPH.sparse) return this.#sparse((name) => `${scope}${name}`, bytes(this.#cursor, field));
      return undefined;
    });
  }

  /** A node, or a function with its nodes. */
  #nodes(scope: string, message: RawBytes, node: number, attribute: number): Promise<void> {
    const numbers = new Numbering();
    return this.#messages.message(end(message), (field) => {
      if (field.number === attribute)
        return this.#attribute(`${scope}attribute[${numbers.next(field)}]`, bytes(this.#cursor, field));
      if (field.number === node)
        return this.#nodes(`${scope}node[${numbers.next(field)}].`, bytes(this.#cursor, field), 0, NODE.attribute);
      return undefined;
    });
  }

  #attribute(scope: string, message: RawBytes): Promise<void> {
    const numbers = new Numbering();
    return this.#messages.message(end(message), (field) => {
      switch (field.number) {
        case ATTRIBUTE.tensor:
          return this.#tensor(() => `${scope}.t`, this.#single(numbers, field));
        case ATTRIBUTE.graph:
          return this.#graph(`${scope}.g/`, this.#single(numbers, field));
        case ATTRIBUTE.sparse:
          return this.#sparse(() => `${scope}.sparse_tensor`, this.#single(numbers, field));
        case ATTRIBUTE.tensors: {
          const name = `${scope}.tensors[${numbers.next(field)}]`;
          return this.#tensor(() => name, bytes(this.#cursor, field));
        }
        case ATTRIBUTE.graphs:
          return this.#graph(`${scope}.graphs[${numbers.next(field)}]/`, bytes(this.#cursor, field));
        case ATTRIBUTE.sparses: {
          const name = `${scope}.sparse_tensors[${numbers.next(field)}]`;
          return this.#sparse(() => name, bytes(this.#cursor, field));
        }
        default:
          return undefined;
      }
    });
  }

  async #tensor(nameOf: (own: string) => string, message: RawBytes): Promise<void> {
    const tensor = await this.#tensors.tensor(message);
    this.#table.add({ ...tensor, name: nameOf(tensor.name) });
  }

  async #sparse(nameOf: (own: string) => string, message: RawBytes): Promise<void> {
    const numbers = new Numbering();
    const found: { values?: TensorInfo; indices?: TensorInfo } = {};
    await this.#messages.message(end(message), async (field) => {
      if (field.number === SPARSE.values) found.values = await this.#tensors.tensor(this.#single(numbers, field));
      if (field.number === SPARSE.indices) found.indices = await this.#tensors.tensor(this.#single(numbers, field));
    });
    if (!found.values || !found.indices) throw malformed(this.#cursor.file, 'a sparse tensor lacks its values or its indices');
    const name = nameOf(found.values.name);
    this.#table.add({ ...found.values, name });
    this.#table.add({ ...found.indices, name: `${name}.indices` });
  }
}

const end = ({ offset, length }: RawBytes): number => offset + length;
