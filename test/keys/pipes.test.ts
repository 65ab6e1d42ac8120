/** Keys and passphrases that come through pipes: who waits for a writer must not hold up anything else. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readPublicText } from '../../src/keys/any.js';
import { startChild } from '../support/children.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('pipes');
const PIPES = 64;

/** A processor that this process may run on, as taskset takes it. */
function processor(): string | undefined {
  try {
    const allowed = execFileSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8' });
    return /: ([0-9]+)/.exec(allowed)?.[1];
  } catch {
    return undefined;
  }
}

describe('more pipes without a writer than the engine has threads', () => {
  const one = processor();
  it.for([
    ['on all processors', []] as const,
    ...(one === undefined ? [] : [['on one processor', ['taskset', '-c', one]] as const]),
  ])('%s: other work goes on, and an abort ends the wait', { timeout: 60_000 }, async ([where, prefix]) => {
    const folder = path.join(base, where);
    mkdirSync(folder);
    const child = startChild('pipes.ts', { args: [folder, String(PIPES)], prefix });
    expect(await child.line()).toBe('worked');
    expect(await child.line()).toBe(`ended ${PIPES}`);
    expect((await child.ended).code).toBe(0);
  });
});

it('looks for a public key in no pipe: that would wait for its writer, and lose what it writes', async () => {
  const pipe = path.join(base, 'public');
  execFileSync('mkfifo', [pipe]);
  expect(await readPublicText(pipe)).toBeUndefined();
});
