/** Names from outside, on the terminal of an administrator. If these fail, a device's name hides a row or types into the terminal. */
import { describe, expect, it } from 'vitest';
import { columns, plainJson, plainLines } from '../../src/cli/text.js';

const EVIL = 'a\u001b[2J\u009b31m\r\nfake row\u202e\u2028';

describe('what is printed', () => {
  it('steers no terminal, and a cell stays in its row', () => {
    const text = columns([
      ['name', 'state'],
      [EVIL, 'pending'],
    ]);
    expect(text.split('\n')).toHaveLength(2);
    expect(text).not.toMatch(/[^\P{Cc}\n]|[\u2028\u202e]/u);
    expect(plainLines(`one\n${EVIL}`).split('\n')).toHaveLength(3);
    expect(plainLines(EVIL)).not.toMatch(/[^\P{Cc}\n]|[\u2028\u202e]/u);
  });

  it('leaves names of people as they are', () => {
    for (const name of ['Zoë', 'علي', '陳大文', 'line 4 (köln)', '👩‍🔧']) expect(plainLines(name)).toBe(name);
  });

  it('is the same value as JSON, and steers no terminal there', () => {
    expect(JSON.parse(plainJson({ name: EVIL }))).toEqual({ name: EVIL });
    expect(plainJson({ name: EVIL })).not.toMatch(/[\p{Cc}\u2028\u202e]/u);
  });
});
