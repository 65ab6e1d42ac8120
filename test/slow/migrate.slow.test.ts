/** A legacy artifact of 1 GiB becomes a container in one pass, in flat memory and with nothing else written; the result loads. */
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { DeviceKey } from '../../src/index.js';
import { startChild } from '../support/children.js';
import { aesKey } from '../support/legacy.js';
import { print } from '../support/print.js';
import { scaled } from '../support/sample.js';
import { temporaryFolder } from '../support/temp.js';

const MIB = 2 ** 20;
const PIECE = 4 * MIB;
const folder = temporaryFolder('migrate');
const at = (name: string): string => path.join(folder, name);

interface Cost {
  readonly peakKiB: number;
  /** Bytes by system calls, whatever file they were of. */
  readonly read: number;
  readonly written: number;
  readonly sha256?: string;
}

async function run(step: 'idle' | 'migrate' | 'check' | 'load', sha256 = ''): Promise<Cost> {
  const args = [step, at('model.enc'), at('key.txt'), at('device.key'), at('store'), sha256];
  const child = startChild('migrate.ts', { args, cwd: folder });
  const cost = JSON.parse(await child.waitFor('cost')) as Cost;
  expect((await child.ended).code).toBe(0);
  return cost;
}

/** Random plaintext that is never on disk itself; the result is its SHA-256. */
async function writeArtifact(file: string, keyString: string, bytes: number): Promise<string> {
  const plain = createCipheriv('aes-256-ctr', randomBytes(32), randomBytes(16));
  const iv = randomBytes(16);
  const sealing = createCipheriv('aes-256-cbc', aesKey(keyString), iv);
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(PIECE);
  const handle = await open(file, 'wx');
  try {
    await handle.writeFile(iv);
    for (let left = bytes; left > 0; left -= PIECE) {
      const piece = plain.update(zeros.subarray(0, Math.min(left, PIECE)));
      hash.update(piece);
      await handle.writeFile(sealing.update(piece));
    }
    await handle.writeFile(sealing.final());
  } finally {
    await handle.close();
  }
  return hash.digest('hex');
}

describe('a large legacy artifact', () => {
  it('migrates in little memory and one pass, with the container alone written, and loads', async () => {
    const bytes = scaled(1024, 64) * MIB + 5;
    writeFileSync(at('key.txt'), 'the key string', { mode: 0o600 });
    await DeviceKey.generate().save(at('device.key'));
    const sha256 = await writeArtifact(at('model.enc'), 'the key string', bytes);
    const idle = await run('idle');
    for (const [step, passes] of [
      ['migrate', 1],
      ['check', 2],
    ] as const) {
      const cost = await run(step, sha256);
      const extra = (cost.peakKiB - idle.peakKiB) / 1024;
      const [read, written] = [cost.read - idle.read, cost.written - idle.written];
      print(
        `legacy artifact of ${Math.round(bytes / MIB)} MiB, ${step}: ${Math.round(extra)} MiB above idle, ` +
          `${Math.round(read / MIB)} MiB read, ${Math.round(written / MIB)} MiB written`,
      );
      expect(extra, 'migrating holds more of the model than it may').toBeLessThan(96);
      expect(read, 'the artifact was read more often than promised').toBeLessThan(1.02 * passes * bytes + 8 * MIB);
      expect(written, 'more was written than the container').toBeLessThan(1.02 * bytes + 8 * MIB);
    }
    expect(readdirSync(folder).sort()).toEqual(['device.key', 'key.txt', 'model.enc', 'store']);
    expect((await run('load')).sha256, 'what loads is not what was encrypted').toBe(sha256);
  });
});
