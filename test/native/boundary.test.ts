/**
 * The boundary between JavaScript and the addon: no C++ exception crosses it, whatever runs out. One that did would end the process, with
 * everything else that it serves.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { startChild } from '../support/children.js';
import { projectRoot } from '../support/shared.js';

const ADDON = path.join(projectRoot, 'native/addon');

it('is one file: no other registers what scripts can call', () => {
  const others = readdirSync(ADDON).filter((name) => /\.(cc|h)$/.test(name) && name !== 'entry.h');
  expect(others.length).toBeGreaterThan(10);
  for (const name of others) {
    const text = readFileSync(path.join(ADDON, name), 'utf8');
    expect(text, name).not.toMatch(
      /Function::New|InstanceMethod|InstanceAccessor|StaticMethod|ObjectWrap<|napi_create_function|napi_define/,
    );
  }
});

describe('under a memory limit', () => {
  // Each in a process of its own: the limit stays, and what is tested is that the process does.
  it.for(['sealBox', 'openBox', 'sign', 'verifySignature', 'legacyEncrypt', 'legacyRead', 'open', 'rewrap'])(
    '%s of a large input fails with a code, and the process goes on',
    { timeout: 120_000 },
    async (operation) => {
      const child = startChild('short-of-memory.ts', { args: [operation] });
      const said = await child.waitFor('result');
      expect(said).toBe('OUT_OF_MEMORY');
      expect(await child.waitFor('then')).toBe('works');
      expect((await child.ended).code).toBe(0);
    },
  );
});
