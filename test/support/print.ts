import { writeSync } from 'node:fs';

/** A line for whoever reads the log of a test run: counts, seeds, measurements. */
export function print(line: string): void {
  writeSync(1, `${line}\n`);
}
