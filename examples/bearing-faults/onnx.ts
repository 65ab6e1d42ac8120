/**
 * Writes ONNX files: just enough of the protobuf wire format for graphs of float tensors.
 * Field numbers are those of onnx.proto; every message is a list of (field number, wire type) keys and values.
 */
export interface Tensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

export interface Node {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>;
}

export interface Graph {
  readonly name: string;
  readonly description: string;
  /** A string stands for a size that is free, such as the batch. */
  readonly input: { readonly name: string; readonly shape: readonly (number | string)[] };
  readonly output: { readonly name: string; readonly shape: readonly (number | string)[] };
  readonly nodes: readonly Node[];
  readonly tensors: readonly Tensor[];
  readonly metadata: Readonly<Record<string, string>>;
}

const FLOAT = 1;
const OPSET = 17;
const IR_VERSION = 8; // the one that belongs to operator set 17

export function encodeModel(graph: Graph): Uint8Array {
  return message(
    integer(1, IR_VERSION),
    text(2, 'bearing-faults example'),
    bytes(7, encodeGraph(graph)),
    bytes(8, message(integer(2, OPSET))),
    ...Object.entries(graph.metadata).map(([key, value]) => bytes(14, message(text(1, key), text(2, value)))),
  );
}

function encodeGraph(graph: Graph): Uint8Array {
  return message(
    ...graph.nodes.map((node) => bytes(1, encodeNode(node))),
    text(2, graph.name),
    ...graph.tensors.map((tensor) => bytes(5, encodeTensor(tensor))),
    text(10, graph.description),
    bytes(11, encodeValueInfo(graph.input)),
    bytes(12, encodeValueInfo(graph.output)),
  );
}

function encodeNode(node: Node): Uint8Array {
  return message(
    ...node.inputs.map((name) => text(1, name)),
    text(2, node.output),
    text(3, node.output),
    text(4, node.op),
    ...Object.entries(node.attributes ?? {}).map(([name, value]) => bytes(5, encodeAttribute(name, value))),
  );
}

/** Only integers and lists of integers occur in these graphs; the types are 2 and 7. */
function encodeAttribute(name: string, value: number | readonly number[]): Uint8Array {
  return typeof value === 'number'
    ? message(text(1, name), integer(3, value), integer(20, 2))
    : message(text(1, name), ...value.map((item) => integer(8, item)), integer(20, 7));
}

function encodeTensor(tensor: Tensor): Uint8Array {
  // raw_data is little-endian whatever the machine is.
  const raw = new DataView(new ArrayBuffer(tensor.data.length * 4));
  for (const [i, x] of tensor.data.entries()) raw.setFloat32(i * 4, x, true);
  return message(
    ...tensor.dims.map((dim) => integer(1, dim)),
    integer(2, FLOAT),
    text(8, tensor.name),
    bytes(9, new Uint8Array(raw.buffer)),
  );
}

function encodeValueInfo({ name, shape }: Graph['input']): Uint8Array {
  const dims = shape.map((dim) => bytes(1, typeof dim === 'number' ? message(integer(1, dim)) : message(text(2, dim))));
  const tensorType = message(integer(1, FLOAT), bytes(2, message(...dims)));
  return message(text(1, name), bytes(2, message(bytes(1, tensorType))));
}

function message(...fields: Uint8Array[]): Uint8Array {
  return Buffer.concat(fields);
}

function integer(field: number, value: number): Uint8Array {
  return message(varint(BigInt(field << 3)), varint(BigInt(value)));
}

function text(field: number, value: string): Uint8Array {
  return bytes(field, Buffer.from(value, 'utf8'));
}

function bytes(field: number, value: Uint8Array): Uint8Array {
  return message(varint(BigInt((field << 3) | 2)), varint(BigInt(value.length)), value);
}

/** Seven bits a byte, lowest first; negative numbers as 64-bit two's complement. */
function varint(value: bigint): Uint8Array {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return Uint8Array.from(out);
}
