/** The whole network, fixed and learned part, as one ONNX graph: raw samples in, class probabilities out. */
import { bands, bins, envelopeLength, type Frontend, poolSize, powerFloor, taps } from './frontend.js';
import { detectors, hidden, type Weights } from './network.js';
import type { Graph } from './onnx.js';
import { classes, sampleRate, windowLength } from './simulate.js';

export function makeGraph(front: Frontend, w: Weights): Graph {
  const half = (taps - 1) / 2;
  return {
    name: 'bearing_faults',
    description: 'Tells bearing faults from vibration. Trained on simulated signals only.',
    input: { name: 'signal', shape: ['batch', 1, windowLength] },
    output: { name: 'probabilities', shape: ['batch', classes.length] },
    nodes: [
      { op: 'Conv', inputs: ['signal', 'band_filters'], output: 'band_signals', attributes: { pads: [half, half] } },
      { op: 'Abs', inputs: ['band_signals'], output: 'rectified' },
      {
        op: 'AveragePool',
        inputs: ['rectified'],
        output: 'envelope',
        attributes: { kernel_shape: [poolSize], strides: [poolSize] },
      },
      { op: 'ReduceMean', inputs: ['envelope'], output: 'envelope_mean', attributes: { axes: [2], keepdims: 1 } },
      { op: 'Sub', inputs: ['envelope', 'envelope_mean'], output: 'envelope_swing' },
      { op: 'Div', inputs: ['envelope_swing', 'envelope_mean'], output: 'modulation' },
      { op: 'MatMul', inputs: ['modulation', 'fourier_cosines'], output: 'spectrum_real' },
      { op: 'MatMul', inputs: ['modulation', 'fourier_sines'], output: 'spectrum_imaginary' },
      { op: 'Mul', inputs: ['spectrum_real', 'spectrum_real'], output: 'power_real' },
      { op: 'Mul', inputs: ['spectrum_imaginary', 'spectrum_imaginary'], output: 'power_imaginary' },
      { op: 'Sum', inputs: ['power_real', 'power_imaginary', 'power_floor'], output: 'power' },
      { op: 'Log', inputs: ['power'], output: 'log_spectrum' },
      { op: 'MatMul', inputs: ['log_spectrum', 'detector_weights'], output: 'detector_products' },
      { op: 'Add', inputs: ['detector_products', 'detector_bias'], output: 'detector_answers' },
      { op: 'ReduceMax', inputs: ['detector_answers'], output: 'strongest', attributes: { axes: [1], keepdims: 0 } },
      { op: 'Relu', inputs: ['strongest'], output: 'strongest_relu' },
      { op: 'Gemm', inputs: ['strongest_relu', 'hidden_weights', 'hidden_bias'], output: 'hidden' },
      { op: 'Relu', inputs: ['hidden'], output: 'hidden_relu' },
      { op: 'Gemm', inputs: ['hidden_relu', 'output_weights', 'output_bias'], output: 'scores' },
      { op: 'Softmax', inputs: ['scores'], output: 'probabilities', attributes: { axis: -1 } },
    ],
    tensors: [
      { name: 'band_filters', dims: [bands, 1, taps], data: front.filters },
      { name: 'fourier_cosines', dims: [envelopeLength, bins], data: front.cosines },
      { name: 'fourier_sines', dims: [envelopeLength, bins], data: front.sines },
      { name: 'power_floor', dims: [], data: Float32Array.of(powerFloor) },
      { name: 'detector_weights', dims: [bins, detectors], data: w.detector },
      { name: 'detector_bias', dims: [detectors], data: w.detectorBias },
      { name: 'hidden_weights', dims: [detectors, hidden], data: w.hidden },
      { name: 'hidden_bias', dims: [hidden], data: w.hiddenBias },
      { name: 'output_weights', dims: [hidden, classes.length], data: w.output },
      { name: 'output_bias', dims: [classes.length], data: w.outputBias },
    ],
    metadata: { classes: classes.join(','), sample_rate: String(sampleRate), data: 'simulated' },
  };
}
