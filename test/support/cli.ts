/** The command in this process: fast, with what it writes kept. */
import { vi } from 'vitest';
import { run } from '../../src/cli/program.js';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout as bytes. */
  readonly bytes: Uint8Array;
}

/** Writes are collected, and acknowledged as a stream would. */
function collect(stream: NodeJS.WriteStream) {
  const chunks: Buffer[] = [];
  const spy = vi.spyOn(stream, 'write').mockImplementation((chunk, encoding?: unknown, done?: unknown) => {
    chunks.push(Buffer.from(chunk as Uint8Array));
    const callback = typeof encoding === 'function' ? encoding : done;
    if (typeof callback === 'function') callback();
    return true;
  });
  return { bytes: () => Buffer.concat(chunks), restore: () => spy.mockRestore() };
}

export async function modelGuard(...args: readonly string[]): Promise<CliResult> {
  const [out, err] = [collect(process.stdout), collect(process.stderr)];
  try {
    const code = await run(args);
    return { code, stdout: out.bytes().toString('utf8'), stderr: err.bytes().toString('utf8'), bytes: out.bytes() };
  } finally {
    out.restore();
    err.restore();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeAllListeners(signal);
  }
}

/** The same, where anything but success fails the test. */
export async function succeed(...args: readonly string[]): Promise<CliResult> {
  const result = await modelGuard(...args);
  if (result.code !== 0) throw new Error(`model-guard ${args.join(' ')} ended with ${result.code}: ${result.stderr}`);
  return result;
}
