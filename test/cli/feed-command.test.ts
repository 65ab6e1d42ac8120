/** A command that is given a stream: of one that fails it must not take a part for the whole, whatever it does with signals. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { feedCommand } from '../../src/cli/feed-command.js';
import { ModelGuardError } from '../../src/index.js';
import { failureOf } from '../support/failures.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('consumer');
const write = (input: Writable, text: string) =>
  new Promise<void>((resolve, reject) => input.write(text, (error) => (error ? reject(error) : resolve())));
const whole = async (input: Writable): Promise<void> => {
  await write(input, 'one part, ');
  await new Promise<void>((resolve) => input.end(resolve));
};
/** Waits for the command to say that it runs, gives it a part, and fails as `Unlocking.pipeTo` does. */
const half = (ready: string) => async (input: Writable) => {
  await write(input, 'one part, ');
  while (!existsSync(ready)) await new Promise((resolve) => setImmediate(resolve));
  input.destroy();
  await new Promise<void>((resolve) => input.once('close', () => resolve()));
  throw new ModelGuardError('SOURCE_CHANGED', 'it changed');
};

const COMMANDS: readonly (readonly [string, string])[] = [
  ['that heeds SIGTERM', 'echo > ready; cat > part; echo > finished'],
  ['that ignores SIGTERM', "trap '' TERM; echo > ready; cat > part; echo > finished"],
  ['whose child ignores SIGTERM', "(trap '' TERM; echo > ready; cat > part; echo > finished)"],
  ['that pipes it on', "cat | (trap '' TERM; echo > ready; cat > part; echo > finished)"],
];

describe.each(COMMANDS)('a command %s', (what, script) => {
  const inFolder = (name: string) => {
    const folder = path.join(base, `${what} ${name}`);
    mkdirSync(folder);
    return { folder, command: ['sh', '-c', `cd '${folder}' && ${script}`] as const };
  };

  it('has ended before the input of a stream that failed does', async () => {
    const { folder, command } = inFolder('fails');
    const failed = feedCommand([...command], half(path.join(folder, 'ready')), { env: process.env, graceMs: 100 });
    expect((await failureOf(() => failed)).code).toBe('SOURCE_CHANGED');
    expect(existsSync(path.join(folder, 'finished'))).toBe(false);
  });

  it('gets the whole and its end otherwise', async () => {
    const { folder, command } = inFolder('works');
    await feedCommand([...command], whole, { env: process.env });
    while (!existsSync(path.join(folder, 'finished'))) await new Promise((resolve) => setImmediate(resolve));
    expect(readFileSync(path.join(folder, 'part'), 'utf8')).toBe('one part, ');
  });
});

it('one that ends and leaves its input to a child has failed, and the child ends too', async () => {
  const finished = path.join(base, 'left');
  const script = `exec 3<&0; (trap '' TERM; cat <&3 > /dev/null; echo > '${finished}') & exit 0`;
  const feed = async (input: Writable): Promise<void> => {
    for (;;) await write(input, 'one more part, ');
  };
  const failed = feedCommand(['sh', '-c', script], feed, { env: process.env, graceMs: 100 });
  expect(await failureOf(() => failed)).toMatchObject({ code: 'IO_FAILED', message: /before it had read everything/ });
  expect(existsSync(finished)).toBe(false);
});

it('one that fails, stops reading or is not there fails the whole', async () => {
  const much = 'x'.repeat(1 << 20);
  const feed = async (input: Writable): Promise<void> => {
    for (let count = 0; count < 8; count++) await write(input, much);
    await new Promise<void>((resolve) => input.end(resolve));
  };
  const outcome = (...command: [string, ...string[]]) => failureOf(() => feedCommand(command, feed, { env: process.env }));
  expect(await outcome('sh', '-c', 'cat > /dev/null; exit 3')).toMatchObject({ code: 'IO_FAILED', message: /status 3/ });
  expect(await outcome('head', '-c', '10')).toMatchObject({ code: 'IO_FAILED', message: /before it had read everything/ });
  expect((await outcome('no-such-command')).code).toBe('NOT_FOUND');
});

it('one that stops reading and goes on is told as that, not by the signal that ends it', async () => {
  const feed = async (input: Writable): Promise<void> => {
    for (;;) await write(input, 'one more part, ');
  };
  const error = await failureOf(() => feedCommand(['sh', '-c', 'exec 0<&-; exec sleep 100'], feed, { env: process.env }));
  expect([error.code, error.message]).toEqual(['IO_FAILED', expect.stringContaining('ended before it had read everything')]);
});
