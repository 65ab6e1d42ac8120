/**
 * Simulates the training set, trains the classifier and writes model.onnx beside this file.
 * Deterministic: the same machine and the same Node give the same bytes.
 *
 *   npx tsx examples/bearing-faults/train.ts
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { accuracy, classify, confusion, maxAbsDifference, openSession } from './evaluate.js';
import { bands, bins, frontendFeatures, makeFrontend } from './frontend.js';
import { makeGraph } from './graph.js';
import { detectors, Pass, type Weights } from './network.js';
import { encodeModel } from './onnx.js';
import { fit } from './optimise.js';
import { classes, heldOutCount, heldOutSeed, simulate, trainingSeed } from './simulate.js';

const trainingCount = 24_000;
const modelPath = fileURLToPath(new URL('model.onnx', import.meta.url));

const began = performance.now();
const seconds = (): string => `${((performance.now() - began) / 1000).toFixed(0)} s`;

console.log(`Simulating ${trainingCount} training windows (all data are simulated).`);
const training = simulate(trainingSeed, trainingCount);
const frontend = makeFrontend();
const features = frontendFeatures(frontend, training.signals, training.count);
console.log(`Envelope spectra done after ${seconds()}; training.`);

const scale = standardise(features);
const schedule = { seed: 5, epochs: 10, batch: 32, learningRate: 2e-3, weightDecay: 0.3, smoothing: 0.05 };
const learned = fit(features, training.labels, schedule, (epoch, loss) => {
  if (epoch % 2 === 0) console.log(`  epoch ${epoch}: loss ${loss.toFixed(3)} (${seconds()})`);
});
const weights = foldScale(learned, scale);

const model = encodeModel(makeGraph(frontend, weights));
writeFileSync(modelPath, model);
console.log(`model.onnx: ${model.length} bytes, SHA-256 ${createHash('sha256').update(model).digest('hex')}`);

const session = await openSession(model);
const heldOut = simulate(heldOutSeed, heldOutCount);
const answers = await classify(session, heldOut);
const own = forward(weights, frontendFeatures(frontend, heldOut.signals, heldOut.count), heldOut.count);
const table = confusion(answers, heldOut.labels);
const trained = accuracy(confusion(await classify(session, training), training.labels));
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
console.log(`accuracy: training ${percent(trained)}, held out ${percent(accuracy(table))} of ${heldOut.count}`);
console.log(`chance level: ${percent(1 / classes.length)} (four classes, equally frequent)`);
console.log('held-out confusion (rows: truth, columns: answer)');
console.log(`${''.padEnd(12)}${classes.map((name) => name.padStart(12)).join('')}`);
table.forEach((row, k) => {
  console.log(`${classes[k].padEnd(12)}${row.map((n) => String(n).padStart(12)).join('')}`);
});
const difference = maxAbsDifference(answers, own);
console.log(`onnxruntime against the forward pass in TypeScript: largest difference ${difference.toExponential(1)}`);
console.log(`done in ${seconds()}`);
if (!(difference < 1e-3)) process.exitCode = 1;

interface Scale {
  readonly mean: Float64Array;
  readonly deviation: Float64Array;
}

/** Brings every spectral line to mean 0 and variance 1 over all windows and bands, in place. */
function standardise(x: Float32Array): Scale {
  const rows = x.length / bins;
  const mean = new Float64Array(bins);
  const deviation = new Float64Array(bins);
  for (let i = 0; i < x.length; i++) mean[i % bins] += x[i] / rows;
  for (let i = 0; i < x.length; i++) deviation[i % bins] += (x[i] - mean[i % bins]) ** 2 / rows;
  for (let b = 0; b < bins; b++) deviation[b] = Math.sqrt(deviation[b]);
  for (let i = 0; i < x.length; i++) x[i] = (x[i] - mean[i % bins]) / deviation[i % bins];
  return { mean, deviation };
}

/** Moves the standardisation into the first layer, so that the model needs no step before it. */
function foldScale(w: Weights, { mean, deviation }: Scale): Weights {
  const detector = w.detector.map((x, i) => x / deviation[Math.floor(i / detectors)]);
  const detectorBias = w.detectorBias.map((bias, j) => {
    let shift = 0;
    for (let b = 0; b < bins; b++) shift += mean[b] * detector[b * detectors + j];
    return bias - shift;
  });
  return { ...w, detector, detectorBias };
}

function forward(w: Weights, x: Float32Array, count: number): Float64Array {
  const pass = new Pass();
  const out = new Float64Array(count * classes.length);
  for (let i = 0; i < count; i++) {
    pass.forward(w, x.subarray(i * bands * bins, (i + 1) * bands * bins));
    out.set(pass.probabilities, i * classes.length);
  }
  return out;
}
