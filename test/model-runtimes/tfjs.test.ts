/** @tensorflow/tfjs takes a folder model through an IO handler, and copies its weights while it loads: results stay after `dispose()`. */
import * as tf from '@tensorflow/tfjs';
import { expect, test } from 'vitest';
import { protectedModel } from './protected.js';

test('a layers model gives what it gave when it was saved', async () => {
  const made = tf.sequential({
    layers: [tf.layers.dense({ units: 3, inputShape: [4], activation: 'relu' }), tf.layers.dense({ units: 2 })],
  });
  const saved: tf.io.ModelArtifacts[] = [];
  await made.save(
    tf.io.withSaveHandler(async (artifacts) => {
      saved.push(artifacts);
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  const [artifacts] = saved;
  const { weightData, ...rest } = artifacts as tf.io.ModelArtifacts;
  const model = await protectedModel({
    'model.json': Buffer.from(JSON.stringify(rest)),
    'weights.bin': new Uint8Array(weightData as ArrayBuffer),
  });
  const bytesOf = (name: string): Uint8Array => model.files.get(name)?.bytes ?? new Uint8Array(0);
  const topology = JSON.parse(new TextDecoder().decode(bytesOf('model.json'))) as tf.io.ModelArtifacts;
  const loaded = await tf.loadLayersModel(
    tf.io.fromMemory({ ...topology, weightData: bytesOf('weights.bin').buffer as ArrayBuffer }),
  );
  model.dispose();
  const input = tf.tensor2d([[1, -2, 3, 0.5]]);
  const results = (loaded.predict(input) as tf.Tensor).dataSync();
  expect(results).toEqual((made.predict(input) as tf.Tensor).dataSync());
});
