/** `npm run bench` at its smallest: if a subject no longer starts, the next figures cannot be had. Its figures are not looked at. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

test('every subject runs, or is named as missing', () => {
  const words = ['--import', 'tsx', 'bench/compare/run.ts', '--sizes', '1', '--rounds', '1'];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { cwd: ROOT, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  for (const part of [
    'Load, 1 MiB, warm',
    'Load, 1 MiB, cold',
    'Protect, 1 MiB, warm',
    'Latency, 64 KiB, warm',
    'First inference',
  ])
    expect(stdout).toContain(`**${part}`);
  // These need nothing but Node.
  for (const name of [
    'model-guard load, verified',
    'model-guard protect, signed',
    'fs.readFile, plain',
    'node:crypto AES-256-GCM',
  ])
    expect(stdout).toMatch(new RegExp(`^\\| ${name} \\| [0-9.]+ \\|`, 'm'));
  expect(stdout).not.toContain('NaN');
});
