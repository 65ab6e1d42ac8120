/** onnxruntime-web takes the bytes of a model and of its external data, and copies both: results stay after `dispose()`. */
import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-web';
import { expect, test } from 'vitest';
import { onnxProto, proto } from '../support/tensor-files.js';
import { protectedModel } from './protected.js';
import { valueInfo } from './value-info.js';

const FLOAT = 1;
const EXAMPLE = new URL('../../examples/bearing-faults/model.onnx', import.meta.url);

test('a protected model gives what the plain one gives', async () => {
  const plain = Uint8Array.from(readFileSync(EXAMPLE));
  const signal = new ort.Tensor(
    'float32',
    Float32Array.from({ length: 2048 }, (_, index) => Math.sin(index)),
    [1, 1, 2048],
  );
  const infer = async (session: ort.InferenceSession) =>
    Array.from((await session.run({ signal })).probabilities?.data as Float32Array);
  const expected = await infer(await ort.InferenceSession.create(plain));
  const model = await protectedModel({ 'model.onnx': plain });
  const session = await ort.InferenceSession.create(model.bytes);
  model.dispose();
  expect(await infer(session)).toEqual(expected);
});

test('external data comes from the files of a folder model', async () => {
  const weights = Float32Array.from([10, 20]);
  const location = { location: 'weights.bin', offset: '0', length: '8' };
  const graph = onnxProto.model(
    proto.bytes(8, proto.number(2, 17)),
    onnxProto.graph(
      onnxProto.node(proto.bytes(1, 'x'), proto.bytes(1, 'w'), proto.bytes(2, 'y'), proto.bytes(4, 'Add')),
      proto.bytes(2, 'sum'),
      onnxProto.initializer(onnxProto.tensor('w', FLOAT, [2]), onnxProto.external(location)),
      proto.bytes(11, valueInfo('x', FLOAT, [2])),
      proto.bytes(12, valueInfo('y', FLOAT, [2])),
    ),
  );
  const model = await protectedModel({ 'model.onnx': graph, 'weights.bin': new Uint8Array(weights.buffer) });
  const bytesOf = (name: string): Uint8Array => model.files.get(name)?.bytes ?? new Uint8Array(0);
  const session = await ort.InferenceSession.create(bytesOf('model.onnx'), {
    externalData: [{ path: 'weights.bin', data: bytesOf('weights.bin') }],
  });
  model.dispose();
  const { y } = await session.run({ x: new ort.Tensor('float32', [1, 2], [2]) });
  expect(Array.from(y?.data as Float32Array)).toEqual([11, 22]);
});
