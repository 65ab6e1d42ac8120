/** The ValueInfoProto of a graph's input or output: its name, type and shape; a size by name is left open. */
import { proto } from '../support/tensor-files.js';

export function valueInfo(name: string, type: number, shape: readonly (number | string)[]): Uint8Array {
  const sizes = shape.map((size) => proto.bytes(1, typeof size === 'number' ? proto.number(1, size) : proto.bytes(2, size)));
  return Buffer.concat([proto.bytes(1, name), proto.bytes(2, proto.bytes(1, proto.number(1, type), proto.bytes(2, ...sizes)))]);
}
