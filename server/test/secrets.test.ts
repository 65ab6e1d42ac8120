/** Secrets come from a file, else the environment, else a default that production refuses. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findSecret, secret } from '../src/secrets.js';

describe('secret', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'guard-secrets-'));
  });
  afterEach(() => rm(folder, { recursive: true }));
  const place = (production = false) => ({ secretsFolder: folder, production });
  const rules = { development: 'everybody knows this one', minBytes: 8 };

  it('prefers the file to the environment, and that to the default', async () => {
    expect(await secret(place(), 'token_secret', rules, {})).toBe(rules.development);
    const environment = { MODEL_GUARD_TOKEN_SECRET: 'from the environment' };
    expect(await secret(place(), 'token_secret', rules, environment)).toBe('from the environment');
    await writeFile(join(folder, 'model_guard_token_secret'), 'from the file\n');
    expect(await secret(place(), 'token_secret', rules, environment)).toBe('from the file');
  });

  it('takes one line feed off the end, and nothing else', async () => {
    await writeFile(join(folder, 'model_guard_a'), ' a b \n\n');
    expect(await findSecret(place(), 'a', {})).toBe(' a b \n');
  });

  it('refuses the default in production, even where somebody set it', async () => {
    await expect(secret(place(true), 'token_secret', rules, {})).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const environment = { MODEL_GUARD_TOKEN_SECRET: rules.development };
    await expect(secret(place(true), 'token_secret', rules, environment)).rejects.toThrow(/development secret/);
    expect(await secret(place(true), 'token_secret', rules, { MODEL_GUARD_TOKEN_SECRET: 'another one' })).toBe('another one');
  });

  it('refuses one that is too short, without showing it', async () => {
    const environment = { MODEL_GUARD_TOKEN_SECRET: 'short' };
    const refused = secret(place(), 'token_secret', rules, environment);
    await expect(refused).rejects.toThrow(/fewer than 8 bytes/);
    await expect(refused).rejects.not.toThrow(/short/);
  });

  it('does not take the default for a file that cannot be read', async () => {
    await mkdir(join(folder, 'model_guard_token_secret'));
    await expect(secret(place(), 'token_secret', rules, {})).rejects.toMatchObject({ code: 'IO_FAILED' });
  });
});
