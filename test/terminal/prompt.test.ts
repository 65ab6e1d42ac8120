/** Credentials typed at a terminal. If these fail, a password is shown, or a question that is left hangs the command. */
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { askCredentials, askNewPassword } from '../../src/terminal/prompt.js';
import { failureOf } from '../support/failures.js';

function terminal() {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  const output = new PassThrough();
  return { input, output, shown: () => String(output.read() ?? '') };
}

describe('a question for credentials', () => {
  it('shows the address and not the password', async () => {
    const { shown, ...streams } = terminal();
    const asked = askCredentials(streams);
    streams.input.write('ada@example.com\r');
    await new Promise(setImmediate);
    streams.input.write('a password\r');
    expect(await asked).toEqual({ email: 'ada@example.com', password: 'a password' });
    const text = shown();
    expect(text).toContain('ada@example.com');
    expect(text).not.toContain('a password');
  });

  it('for a new password shows nothing of it, and takes it only typed twice alike', async () => {
    for (const [again, code] of [
      ['a password', undefined],
      ['another', 'INVALID_ARGUMENT'],
    ] as const) {
      const { shown, ...streams } = terminal();
      const asked = askNewPassword(streams).catch((error: { code: string }) => error.code);
      streams.input.write('a password\r');
      await new Promise(setImmediate);
      streams.input.write(`${again}\r`);
      expect(await asked).toBe(code ?? 'a password');
      expect(shown()).toMatch(/^New password: [^a-z]*The same again: [^a-z]*$/);
    }
  });

  it.each([
    ['Ctrl-C', '\u0003'],
    ['Ctrl-D', '\u0004'],
  ])('ends with %s, at either question', async (_, key) => {
    const first = terminal();
    const left = askCredentials(first);
    first.input.write(key);
    expect((await failureOf(() => left)).code).toBe('ABORT_ERR');
    const second = terminal();
    const asked = askCredentials(second);
    second.input.write('ada@example.com\r');
    await new Promise(setImmediate);
    second.input.write(key);
    expect((await failureOf(() => asked)).code).toBe('ABORT_ERR');
  });

  it('is not asked without a terminal', async () => {
    const { input, output } = terminal();
    input.isTTY = false;
    expect((await failureOf(() => askCredentials({ input, output }))).code).toBe('INVALID_ARGUMENT');
  });
});
