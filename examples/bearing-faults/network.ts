/**
 * The learned part of the network, and its training by hand-written backpropagation.
 *
 *   features [bands, bins] → the same `detectors` units look at every band → the strongest answer of each unit over
 *   the bands → hidden layer → one score per class
 *
 * Sharing the first layer over the bands says what is known: the resonance may lie in any band, and the rhythm of the
 * strikes is the same there.
 */
import { bands, bins } from './frontend.js';
import type { Random } from './random.js';
import { classes } from './simulate.js';

export const detectors = 128;
export const hidden = 64;
const outputs = classes.length;

/** Weights are [inputs, outputs], row-major. */
export interface Weights {
  readonly detector: Float32Array;
  readonly detectorBias: Float32Array;
  readonly hidden: Float32Array;
  readonly hiddenBias: Float32Array;
  readonly output: Float32Array;
  readonly outputBias: Float32Array;
}

export function initialWeights(random: Random): Weights {
  // Variance 2 / inputs keeps the size of activations through layers that end in ReLU.
  const layer = (inputs: number, size: number): Float32Array =>
    Float32Array.from({ length: inputs * size }, () => random.normal() * Math.sqrt(2 / inputs));
  return {
    detector: layer(bins, detectors),
    detectorBias: new Float32Array(detectors),
    hidden: layer(detectors, hidden),
    hiddenBias: new Float32Array(hidden),
    output: layer(hidden, outputs),
    outputBias: new Float32Array(outputs),
  };
}

export function zeroWeights(): Weights {
  return {
    detector: new Float32Array(bins * detectors),
    detectorBias: new Float32Array(detectors),
    hidden: new Float32Array(detectors * hidden),
    hiddenBias: new Float32Array(hidden),
    output: new Float32Array(hidden * outputs),
    outputBias: new Float32Array(outputs),
  };
}

/** One window's way through the network; the buffers are reused from window to window. */
export class Pass {
  readonly strongest = new Float64Array(detectors);
  readonly strongestBand = new Uint8Array(detectors);
  readonly hidden = new Float64Array(hidden);
  readonly probabilities = new Float64Array(outputs);
  private readonly answers = new Float64Array(detectors);

  forward(w: Weights, features: Float32Array): void {
    this.strongest.fill(Number.NEGATIVE_INFINITY);
    for (let band = 0; band < bands; band++) {
      affine(features.subarray(band * bins, (band + 1) * bins), w.detector, w.detectorBias, this.answers);
      for (let j = 0; j < detectors; j++) {
        if (this.answers[j] > this.strongest[j]) {
          this.strongest[j] = this.answers[j];
          this.strongestBand[j] = band;
        }
      }
    }
    relu(this.strongest);
    affine(this.strongest, w.hidden, w.hiddenBias, this.hidden);
    relu(this.hidden);
    affine(this.hidden, w.output, w.outputBias, this.probabilities);
    softmax(this.probabilities);
  }

  /** Adds the gradient of the cross-entropy to `gradient`. `target` is the wanted distribution over the classes. */
  backward(w: Weights, features: Float32Array, target: Float64Array, gradient: Weights): void {
    const dOutput = this.probabilities.map((p, k) => p - target[k]);
    const dHidden = backThroughAffine(this.hidden, w.output, dOutput, gradient.output, gradient.outputBias);
    const dStrongest = backThroughAffine(this.strongest, w.hidden, dHidden, gradient.hidden, gradient.hiddenBias);
    // Only the band that won carries a gradient back to a detector.
    for (let j = 0; j < detectors; j++) {
      const d = dStrongest[j];
      if (d === 0) continue;
      gradient.detectorBias[j] += d;
      const start = this.strongestBand[j] * bins;
      for (let i = 0; i < bins; i++) gradient.detector[i * detectors + j] += d * features[start + i];
    }
  }
}

type Vector = Float32Array | Float64Array;

function affine(input: Vector, weights: Float32Array, bias: Float32Array, out: Float64Array): void {
  const size = out.length;
  for (let j = 0; j < size; j++) out[j] = bias[j];
  for (let i = 0; i < input.length; i++) {
    const x = input[i];
    if (x === 0) continue;
    const row = i * size;
    for (let j = 0; j < size; j++) out[j] += x * weights[row + j];
  }
}

/** Gradient of the layer's input, zero where the ReLU before it was closed. */
function backThroughAffine(
  input: Float64Array,
  weights: Float32Array,
  dOut: Float64Array,
  dWeights: Float32Array,
  dBias: Float32Array,
): Float64Array {
  const size = dOut.length;
  const dInput = new Float64Array(input.length);
  for (let j = 0; j < size; j++) dBias[j] += dOut[j];
  for (let i = 0; i < input.length; i++) {
    const x = input[i];
    if (x === 0) continue;
    const row = i * size;
    let sum = 0;
    for (let j = 0; j < size; j++) {
      dWeights[row + j] += x * dOut[j];
      sum += weights[row + j] * dOut[j];
    }
    dInput[i] = sum;
  }
  return dInput;
}

function relu(x: Float64Array): void {
  for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] = 0;
}

function softmax(x: Float64Array): void {
  const largest = x.reduce((a, b) => Math.max(a, b));
  let sum = 0;
  for (let k = 0; k < x.length; k++) {
    x[k] = Math.exp(x[k] - largest);
    sum += x[k];
  }
  for (let k = 0; k < x.length; k++) x[k] /= sum;
}
