/** Progress on stderr: a bar on a terminal, a line per quarter elsewhere. */
import cliProgress from 'cli-progress';
import type { Progress, ProgressPhase } from '../native/work.js';
import { formatBytes } from './output.js';

const VERBS: Readonly<Record<ProgressPhase, string>> = { encrypt: 'encrypting', decrypt: 'decrypting', verify: 'verifying' };
const STEP = 25;

export class ProgressDisplay {
  readonly #stream: NodeJS.WriteStream;
  #phase: ProgressPhase | undefined;
  #percent = -STEP;
  #bar: cliProgress.SingleBar | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  readonly update = ({ phase, bytes, total }: Progress): void => {
    if (phase !== this.#phase) this.#begin(phase, total);
    const percent = total === 0 ? 100 : Math.floor((bytes / total) * 100);
    if (this.#bar) this.#bar.update(percent);
    else if (percent >= this.#percent + STEP) {
      this.#percent = percent - (percent % STEP);
      this.#stream.write(`${VERBS[phase]} ${percent} % of ${formatBytes(total)}\n`);
    }
    if (percent === 100) this.stop();
  };

  #begin(phase: ProgressPhase, total: number): void {
    this.stop();
    this.#phase = phase;
    if (!this.#stream.isTTY) return;
    this.#bar = new cliProgress.SingleBar({
      format: `${VERBS[phase]} {bar} {percentage} % of ${formatBytes(total)}`,
      stream: this.#stream,
      hideCursor: true,
    });
    this.#bar.start(100, 0);
  }

  /** Gives the terminal back, also after a failure. */
  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
    this.#phase = undefined;
    this.#percent = -STEP;
  }
}
