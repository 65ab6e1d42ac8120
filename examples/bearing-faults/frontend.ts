/**
 * The fixed part of the network: envelope analysis, the classical way to look at bearings, written as layers.
 *
 *   signal → band-pass filters (Conv) → rectify (Abs) → smooth and thin out (AveragePool)
 *          → relative modulation (divide by the mean, subtract 1) → power spectrum (two MatMul) → logarithm
 *
 * A defect that is struck f times a second shows as a line at f in the spectrum of a band's envelope.
 * Dividing by the mean makes the answer independent of the sensor's gain.
 */
import { sampleRate, windowLength } from './simulate.js';

export const bands = 8;
export const taps = 33;
export const poolSize = 8;
export const envelopeLength = windowLength / poolSize;
/** Spectral lines kept, from bin `firstBin`; 5.9 Hz apart, so up to about 480 Hz. */
export const bins = 80;
const firstBin = 2;
/** Keeps the logarithm finite; far below the spectrum of noise. */
export const powerFloor = 1e-4;

export interface Frontend {
  /** [bands, 1, taps]: cosines under a Hann window, centres 600 Hz apart. */
  readonly filters: Float32Array;
  /** [envelopeLength, bins] each: the real and imaginary rows of a Hann-windowed Fourier transform. */
  readonly cosines: Float32Array;
  readonly sines: Float32Array;
}

export function makeFrontend(): Frontend {
  const filters = new Float32Array(bands * taps);
  for (let band = 0; band < bands; band++) {
    const centre = 900 + 600 * band;
    for (let k = 0; k < taps; k++) {
      const t = k - (taps - 1) / 2;
      filters[band * taps + k] = (hann(k + 1, taps + 1) * Math.cos((2 * Math.PI * centre * t) / sampleRate) * 4) / taps;
    }
  }
  const cosines = new Float32Array(envelopeLength * bins);
  const sines = new Float32Array(envelopeLength * bins);
  for (let n = 0; n < envelopeLength; n++) {
    // Scaled so that white modulation of variance v gives power v in every bin.
    const weight = hann(n, envelopeLength) / Math.sqrt(0.375 * envelopeLength);
    for (let b = 0; b < bins; b++) {
      const phase = (2 * Math.PI * ((n * (b + firstBin)) % envelopeLength)) / envelopeLength;
      cosines[n * bins + b] = weight * Math.cos(phase);
      sines[n * bins + b] = weight * Math.sin(phase);
    }
  }
  return { filters, cosines, sines };
}

function hann(k: number, period: number): number {
  return 0.5 - 0.5 * Math.cos((2 * Math.PI * k) / period);
}

/** What the fixed layers give for every window: [count, bands, bins], in the same order of operations as the graph. */
export function frontendFeatures(frontend: Frontend, signals: Float32Array, count: number): Float32Array {
  const features = new Float32Array(count * bands * bins);
  const envelope = new Float64Array(envelopeLength);
  for (let w = 0; w < count; w++) {
    const signal = signals.subarray(w * windowLength, (w + 1) * windowLength);
    for (let band = 0; band < bands; band++) {
      bandEnvelope(signal, frontend.filters.subarray(band * taps, (band + 1) * taps), envelope);
      const start = (w * bands + band) * bins;
      logSpectrum(frontend, envelope, features.subarray(start, start + bins));
    }
  }
  return features;
}

function bandEnvelope(signal: Float32Array, filter: Float32Array, envelope: Float64Array): void {
  const half = (taps - 1) / 2;
  let total = 0;
  for (let n = 0; n < envelopeLength; n++) {
    let smoothed = 0;
    for (let i = n * poolSize; i < (n + 1) * poolSize; i++) {
      const from = Math.max(0, half - i);
      const to = Math.min(taps, windowLength + half - i);
      let sum = 0;
      for (let k = from; k < to; k++) sum += filter[k] * signal[i + k - half];
      smoothed += Math.abs(sum);
    }
    envelope[n] = smoothed / poolSize;
    total += envelope[n];
  }
  const mean = total / envelopeLength;
  for (let n = 0; n < envelopeLength; n++) envelope[n] = (envelope[n] - mean) / mean;
}

function logSpectrum({ cosines, sines }: Frontend, envelope: Float64Array, out: Float32Array): void {
  const real = new Float64Array(bins);
  const imaginary = new Float64Array(bins);
  for (let n = 0; n < envelopeLength; n++) {
    const x = envelope[n];
    const row = n * bins;
    for (let b = 0; b < bins; b++) {
      real[b] += x * cosines[row + b];
      imaginary[b] += x * sines[row + b];
    }
  }
  for (let b = 0; b < bins; b++) out[b] = Math.log(real[b] ** 2 + imaginary[b] ** 2 + powerFloor);
}
