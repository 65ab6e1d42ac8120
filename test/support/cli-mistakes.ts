/** Runs commands with mistakes in a folder of keys and models, and compares each whole message and exit code. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { modelGuard, succeed } from './cli.js';
import { temporaryFolder } from './temp.js';

/** A title, the words of the command, the exit code, and the message; `/here` stands for the folder. */
export type Mistake = readonly [string, readonly string[], number, string];

export const TO = ['--recipient', 'master.key', '--store', 'store'];
export const OPEN = ['--identity', 'master.key', '--unsigned', 'accept'];
/** Of another publisher: a public key of the tests of RFC 8032. */
export const STRANGER = 'mgs1:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';

async function makeFiles(): Promise<void> {
  writeFileSync('net.onnx', Buffer.alloc(20_000, 'model'));
  writeFileSync('empty.txt', '', { mode: 0o600 });
  writeFileSync('account.txt', 'ada\n', { mode: 0o600 });
  mkdirSync('nothing');
  mkdirSync('folder');
  await succeed('keygen', '--out', 'master.key');
  await succeed('keygen', '--out', 'other.key');
  await succeed('keygen', '--type', 'device', '--out', 'device.key');
  await succeed('keygen', '--type', 'signing', '--out', 'signing.key');
}

/** Keys and models of the mistakes are in the working folder. `more` adds files. */
export function describeMistakes(title: string, mistakes: readonly Mistake[], more?: () => Promise<unknown>): void {
  const base = temporaryFolder('mistakes');
  const before = process.cwd();

  beforeAll(async () => {
    process.chdir(base);
    vi.stubEnv('XDG_CONFIG_HOME', path.join(base, 'config'));
    await makeFiles();
    await more?.();
  });
  afterAll(() => {
    process.chdir(before);
    vi.unstubAllEnvs();
  });

  describe(title, () => {
    it.each(mistakes)('%s', async (_, args, code, message) => {
      const result = await modelGuard(...args);
      expect([result.code, result.stderr.trimEnd().replaceAll(base, '/here')]).toEqual([code, message]);
    });
  });
}

/** `net@1` in the store, signed. */
export const publishNet = () => succeed('protect', 'net.onnx', 'net@1', ...TO, '--sign', 'signing.key');

/** Containers of `net.onnx`: whole, in two parts, signed, and damaged. */
export async function makeContainers(): Promise<void> {
  await publishNet();
  await succeed('encrypt', 'net.onnx', 'net.mguard', '--recipient', 'master.key', '--ref', 'net@1');
  await succeed('split', 'net.mguard', '--small', 'net.small', '--big', 'net.big');
  await succeed('encrypt', 'net.onnx', 'signed.mguard', '--recipient', 'master.key', '--sign', 'signing.key');
  const bytes = readFileSync('signed.mguard');
  bytes.set([(bytes.at(-1) ?? 0) ^ 1], bytes.length - 1);
  writeFileSync('damaged.mguard', bytes);
}
