/** The child's side of test/support/children.ts. */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

// Made when it is first needed: a reader of stdin keeps a process alive.
let lines: AsyncIterator<string> | undefined;

export function tell(line: string): void {
  writeSync(1, `${line}\n`);
}

/** The parent's next line. When the parent is gone, so are we. */
export async function hear(): Promise<string> {
  lines ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const next = await lines.next();
  if (next.done === true) process.exit(1);
  return next.value;
}

export async function waitFor(word: string): Promise<void> {
  const line = await hear();
  if (line !== word) throw new Error(`expected ${word}, heard ${line}`);
}

export function argument(index: number): string {
  const value = process.argv[2 + index];
  if (value === undefined) throw new Error(`argument ${index} is missing`);
  return value;
}
