/** Codes of the SDK = codes of docs/errors.md = codes of the native table; and what errors look like from outside. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { CACHE_UNUSED_WARNING } from '../src/cache/warn.js';
import { EXIT_HELP } from '../src/cli/exit.js';
import { EMPTY_FOLDERS_WARNING, LINKS_OUTSIDE_WARNING } from '../src/engine/source.js';
import { ERROR_CODES } from '../src/errors.js';
import {
  AbortError,
  decrypt,
  encrypt,
  load,
  MasterKey,
  ModelGuardError,
  type ModelGuardErrorCode,
  memoryStore,
} from '../src/index.js';
import { KEY_PERMISSIONS_WARNING } from '../src/keys/files.js';
import { TPM_UNMEASURED_WARNING, TPM_UNUSED_WARNING } from '../src/keys/machine-policy.js';
import { call } from '../src/native/index.js';
import { SERVER_UNTRUSTED_WARNING } from '../src/remote/device/unavailable.js';
import { projectRoot } from './support/shared.js';

const page = readFileSync(path.join(projectRoot, 'docs/errors.md'), 'utf8');
const table = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));
const documented = table.filter((cells) => cells.length === 4);

describe('error codes', () => {
  it('are the same in the documentation, with the same exit code and advice', () => {
    const expected = Object.entries(ERROR_CODES).map(([code, { exit, advice }]) => [`\`${code}\``, String(exit), advice]);
    expect(documented.map(([code, exit, , advice]) => [code, exit, advice])).toEqual(expected);
  });

  it('are those of the native table, then those that only the SDK knows', () => {
    const native = call((binding) => [...binding.codes]);
    expect(Object.keys(ERROR_CODES).slice(0, native.length)).toEqual(native);
    expect(Object.keys(ERROR_CODES)[native.length]).toBe('VERIFIER_REQUIRED');
  });

  it('are a closed union of types', () => {
    expectTypeOf<ModelGuardError['code']>().toEqualTypeOf<ModelGuardErrorCode>();
    expectTypeOf<ModelGuardErrorCode>().toEqualTypeOf<keyof typeof ERROR_CODES>();
    // @ts-expect-error no such code
    expectTypeOf<ModelGuardErrorCode>().toEqualTypeOf<'NO_SUCH_CODE'>();
  });

  it('map to exit codes that the help and the documentation explain', () => {
    const helped = [...EXIT_HELP.matchAll(/^ {2}(\d+) +(.*)$/gm)].map(([, exit, meaning]) => ({ exit, meaning }));
    for (const { exit } of Object.values(ERROR_CODES)) expect(helped.map((one) => one.exit)).toContain(String(exit));
    for (const { exit, meaning } of helped.filter((one) => one.exit !== '130'))
      expect(page).toContain(`| ${exit} | ${meaning} |`);
  });

  it('has every warning code documented', () => {
    const codes = [
      KEY_PERMISSIONS_WARNING,
      TPM_UNUSED_WARNING,
      TPM_UNMEASURED_WARNING,
      CACHE_UNUSED_WARNING,
      SERVER_UNTRUSTED_WARNING,
      EMPTY_FOLDERS_WARNING,
      LINKS_OUTSIDE_WARNING,
    ].map((code) => `\`${code}\``);
    expect(table.filter((cells) => cells.length === 3).map(([code]) => code)).toEqual(codes);
  });
});

describe('an error', () => {
  it('says what happened, then what to do', () => {
    const error = new ModelGuardError('NOT_FOUND', 'x is not there');
    expect(error.message).toBe(`x is not there. ${ERROR_CODES.NOT_FOUND.advice}`);
    expect(error).toMatchObject({ name: 'ModelGuardError', code: 'NOT_FOUND' });
    expect('cause' in error).toBe(false);
  });

  it('keeps its cause', () => {
    const cause = new Error('disk');
    expect(new ModelGuardError('IO_FAILED', 'x', { cause }).cause).toBe(cause);
  });

  it('from the addon points at the line that called', async () => {
    const key = MasterKey.generate();
    const container = await encrypt(new Uint8Array(10), { recipients: [key] });
    const other = MasterKey.generate();
    const error = await decrypt(container, { identities: [other], unsigned: 'accept' }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'NO_MATCHING_IDENTITY', stack: expect.stringContaining('errors.test.ts') });
    expect(error).toHaveProperty('stack', expect.stringMatching(/^ModelGuardError: /));
  });

  it('of an abort has the name, the code and the reason', async () => {
    const reason = { why: 'enough' };
    const options = {
      from: memoryStore(),
      identities: [MasterKey.generate()],
      unsigned: 'accept',
      signal: AbortSignal.abort(reason),
    } as const;
    const error = await load('a@1', options).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(AbortError);
    expect(error).toBeInstanceOf(ModelGuardError);
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
    expect(error).toHaveProperty('cause', reason);
  });
});
