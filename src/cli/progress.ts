/** Shows progress on stderr: a bar on a terminal, a line per quarter elsewhere. */
import cliProgress from 'cli-progress';
import type { Progress, ProgressPhase } from '../index.js';
import { formatBytes, formatSeconds } from './text.js';

const VERBS: Readonly<Record<ProgressPhase, string>> = {
  encrypt: 'encrypting',
  upload: 'uploading',
  decrypt: 'decrypting',
  verify: 'verifying',
  copy: 'copying',
};
const STEP = 25;

export class ProgressDisplay {
  readonly #stream: NodeJS.WriteStream;
  #phase: ProgressPhase | undefined;
  #percent = -STEP;
  #whole = false;
  #bar: cliProgress.SingleBar | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  readonly update = (progress: Progress): void => {
    const { phase, bytes, total } = progress;
    const percent = total === 0 ? 100 : Math.floor((bytes / total) * 100);
    if (phase !== this.#phase || (this.#whole && percent < 100)) this.#begin(phase, total);
    if (this.#whole) return;
    if (this.#bar) this.#bar.update(percent, { speed: speedOf(progress) });
    else if (percent >= this.#percent + STEP) {
      this.#percent = percent - (percent % STEP);
      this.#stream.write(`${VERBS[phase]} ${percent} % of ${formatBytes(total)}${speedOf(progress)}\n`);
    }
    // Work after the last byte, such as syncing, is not shown.
    this.#whole = percent === 100;
    if (this.#whole) this.#bar?.stop();
  };

  #begin(phase: ProgressPhase, total: number): void {
    this.stop();
    this.#phase = phase;
    if (!this.#stream.isTTY) return;
    this.#bar = new cliProgress.SingleBar({
      format: `${VERBS[phase]} {bar} {percentage} % of ${formatBytes(total)}{speed}`,
      stream: this.#stream,
      hideCursor: true,
    });
    this.#bar.start(100, 0, { speed: '' });
  }

  /** Gives the terminal back, also after a failure. */
  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
    this.#phase = undefined;
    this.#percent = -STEP;
    this.#whole = false;
  }
}

function speedOf({ rate, remaining }: Progress): string {
  if (rate === 0) return '';
  return `, ${formatBytes(Math.round(rate))}/s${remaining ? `, ${formatSeconds(remaining)} left` : ''}`;
}
