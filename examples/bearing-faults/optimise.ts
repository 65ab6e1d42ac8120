/** Training: Adam with decoupled weight decay and a learning rate that falls along a half cosine. */
import { bands, bins } from './frontend.js';
import { initialWeights, Pass, type Weights, zeroWeights } from './network.js';
import { Random } from './random.js';
import { classes } from './simulate.js';

export interface Schedule {
  readonly seed: number;
  readonly epochs: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Share of the target spread over all classes: the buried faults cannot be told, so no answer should be certain. */
  readonly smoothing: number;
}

/** Features are [count, bands, bins], already standardised. */
export function fit(
  features: Float32Array,
  labels: Uint8Array,
  schedule: Schedule,
  onEpoch: (epoch: number, loss: number) => void,
): Weights {
  const random = new Random(schedule.seed);
  const weights = initialWeights(random);
  const adam = new Adam(weights, schedule.weightDecay);
  const pass = new Pass();
  const count = labels.length;
  const size = bands * bins;
  const steps = schedule.epochs * Math.ceil(count / schedule.batch);
  const target = new Float64Array(classes.length);
  let step = 0;
  for (let epoch = 1; epoch <= schedule.epochs; epoch++) {
    const order = random.permutation(count);
    let loss = 0;
    for (let start = 0; start < count; start += schedule.batch) {
      const batch = order.subarray(start, start + schedule.batch);
      for (const i of batch) {
        const window = features.subarray(i * size, (i + 1) * size);
        pass.forward(weights, window);
        target.fill(schedule.smoothing / classes.length);
        target[labels[i]] += 1 - schedule.smoothing;
        pass.backward(weights, window, target, adam.gradient);
        loss -= Math.log(Math.max(pass.probabilities[labels[i]], 1e-12));
      }
      const rate = schedule.learningRate * (0.5 + 0.5 * Math.cos((Math.PI * step++) / steps));
      adam.step(rate, batch.length);
    }
    onEpoch(epoch, loss / count);
  }
  return weights;
}

class Adam {
  readonly gradient = zeroWeights();
  private readonly first = zeroWeights();
  private readonly second = zeroWeights();
  private steps = 0;

  constructor(
    private readonly weights: Weights,
    private readonly decay: number,
  ) {}

  /** Applies the gradient summed over a batch, and clears it. */
  step(rate: number, batch: number): void {
    this.steps++;
    const correction1 = 1 - 0.9 ** this.steps;
    const correction2 = 1 - 0.999 ** this.steps;
    for (const name of Object.keys(this.weights) as (keyof Weights)[]) {
      const w = this.weights[name];
      const g = this.gradient[name];
      const m = this.first[name];
      const v = this.second[name];
      const decay = name.endsWith('Bias') ? 0 : this.decay;
      for (let i = 0; i < w.length; i++) {
        const slope = g[i] / batch;
        m[i] = 0.9 * m[i] + 0.1 * slope;
        v[i] = 0.999 * v[i] + 0.001 * slope * slope;
        w[i] -= rate * (m[i] / correction1 / (Math.sqrt(v[i] / correction2) + 1e-8) + decay * w[i]);
      }
      g.fill(0);
    }
  }
}
