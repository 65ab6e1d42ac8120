/** Does one step with a legacy artifact, and tells what it cost by the kernel's count. The step `idle` only reads the keys. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DeviceKey, fileStore, load, migrate } from '../../src/index.js';
import { LegacyKey } from '../../src/legacy/index.js';
import { argument, tell } from './dialogue.js';

const PIECE = 4 * 2 ** 20;
const step = argument(0);
const artifact = argument(1);
const store = fileStore(argument(4));
const ref = { name: 'large', version: '1' };

/** A number from a file of /proc/self, by the name in front of it. */
const counted = (file: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/self/${file}`, 'utf8'))?.[1]);

const key = await LegacyKey.fromKeyString({ file: argument(2) });
const device = await DeviceKey.fromFile(argument(3));
let sha256: string | undefined;
const options = { ...ref, key, recipients: [device], to: store, overwrite: true };
if (step === 'migrate') await migrate(artifact, options);
if (step === 'check') await migrate(artifact, { ...options, plaintextSha256: argument(5) });
const cost = { peakKiB: counted('status', 'VmHWM'), read: counted('io', 'rchar'), written: counted('io', 'wchar') };
if (step === 'load') {
  using model = await load(ref, { from: store, identities: [device], unsigned: 'accept' });
  const hash = createHash('sha256');
  const { bytes } = model;
  for (let at = 0; at < bytes.length; at += PIECE) hash.update(bytes.subarray(at, at + PIECE));
  sha256 = hash.digest('hex');
}
tell(`cost ${JSON.stringify({ ...cost, sha256 })}`);
