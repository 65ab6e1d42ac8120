/**
 * How much memory a large model costs: protecting it must not grow with it, loading it may cost the model once.
 *
 *   node --import tsx bench/large-file.ts [MiB] [folder]
 *
 * Each step is a process of its own and tells the peak that the kernel saw (VmHWM). One more, which only imports the SDK,
 * is the baseline.
 */
import { spawn } from 'node:child_process';
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { DeviceKey, fileStore, type GuardedModel, load, protect, SigningKey } from '../src/index.js';

const MIB = 2 ** 20;
const PIECE = 4 * MIB;
const self = fileURLToPath(import.meta.url);
const reference = { name: 'large', version: '1' };

export interface Step {
  readonly peakBytes: number;
  readonly seconds: number;
  /** SHA-256 of what was loaded. */
  readonly sha256?: string;
}
export interface Measured {
  readonly bytes: number;
  readonly baseline: number;
  readonly signed: boolean;
  readonly protect: Step;
  readonly load: Step;
  /** Whether what was loaded is what was protected. */
  readonly same: boolean;
}

interface Place {
  readonly source: string;
  readonly store: string;
  readonly device: string;
  readonly signing: string;
}

const placeIn = (folder: string): Place => ({
  source: path.join(folder, 'model.bin'),
  store: path.join(folder, 'store'),
  device: path.join(folder, 'device.key'),
  signing: path.join(folder, 'signing.key'),
});

function peakBytes(): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
}

// --- one step, in a process of its own

async function protectOnce(place: Place, signed: boolean): Promise<void> {
  const recipients = [await DeviceKey.fromFile(place.device)];
  const signer = signed ? { signer: await SigningKey.fromFile(place.signing) } : {};
  await protect(place.source, { ...reference, recipients, to: fileStore(place.store), overwrite: true, ...signer });
}

async function loadOnce(place: Place, signed: boolean): Promise<GuardedModel> {
  const identities = [await DeviceKey.fromFile(place.device)];
  const origin = signed ? { verifier: (await SigningKey.fromFile(place.signing)).publicKey } : ({ unsigned: 'accept' } as const);
  return load(reference, { from: fileStore(place.store), identities, ...origin });
}

async function step(what: string, folder: string, signed: boolean): Promise<Step> {
  const place = placeIn(folder);
  const began = performance.now();
  const taken = (): Step => ({ peakBytes: peakBytes(), seconds: (performance.now() - began) / 1000 });
  if (what === 'protect') await protectOnce(place, signed);
  if (what !== 'load') return taken();
  using model = await loadOnce(place, signed);
  const measured = taken();
  const hash = createHash('sha256');
  const { bytes } = model;
  for (let at = 0; at < bytes.length; at += PIECE) hash.update(bytes.subarray(at, at + PIECE));
  return { ...measured, sha256: hash.digest('hex') };
}

// --- the measurement

/** A step in a process of its own. */
async function run(what: string, folder: string, signed: boolean): Promise<Step> {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const args = ['--import', tsx, self, `--step=${what}`, folder, signed ? 'signed' : 'unsigned'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const piece of child.stdout.setEncoding('utf8')) text += String(piece);
  const parsed: unknown = JSON.parse(text);
  if (!isStep(parsed)) throw new Error(`the step ${what} said ${text}`);
  return parsed;
}

function isStep(value: unknown): value is Step {
  return typeof value === 'object' && value !== null && 'peakBytes' in value && 'seconds' in value;
}

/** Pseudo-random bytes, which nothing can compress and no page of which is empty; returns their SHA-256. */
async function writeModel(file: string, bytes: number): Promise<string> {
  const stream = createCipheriv('aes-256-ctr', randomBytes(32), randomBytes(16));
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(PIECE);
  const handle = await open(file, 'wx');
  try {
    for (let left = bytes; left > 0; left -= PIECE) {
      const piece = stream.update(left < PIECE ? zeros.subarray(0, left) : zeros);
      hash.update(piece);
      await handle.writeFile(piece);
    }
  } finally {
    await handle.close();
  }
  return hash.digest('hex');
}

/** Measures in a folder that is made below `parent` and removed. */
export async function measure(bytes: number, parent: string = tmpdir()): Promise<readonly Measured[]> {
  const folder = mkdtempSync(path.join(parent, 'model-guard-large-'));
  try {
    const place = placeIn(folder);
    const sha256 = await writeModel(place.source, bytes);
    await DeviceKey.generate().save(place.device);
    await SigningKey.generate().save(place.signing);
    const { peakBytes: baseline } = await run('idle', folder, false);
    const results: Measured[] = [];
    for (const signed of [false, true]) {
      const protecting = await run('protect', folder, signed);
      const loading = await run('load', folder, signed);
      results.push({ bytes, baseline, signed, protect: protecting, load: loading, same: loading.sha256 === sha256 });
    }
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function describeMeasured({ bytes, baseline, signed, protect: sealing, load: loading }: Measured): string {
  const mib = (size: number): string => `${Math.round(size / MIB)} MiB`;
  const after = ({ seconds }: Step): string => `${seconds.toFixed(1)} s`;
  const share = (((loading.peakBytes - baseline) / bytes) * 100).toFixed(1);
  return (
    `${mib(bytes)}, ${signed ? 'signed' : 'unsigned'}: protect peaks at ${mib(sealing.peakBytes)} (${after(sealing)}); load peaks at ` +
    `${mib(loading.peakBytes)} (${after(loading)}), which is ${share} % of the model above the baseline of ${mib(baseline)}`
  );
}

async function main(): Promise<void> {
  const [first = '2048', folder = tmpdir(), signed] = process.argv.slice(2);
  if (first.startsWith('--step=')) {
    process.stdout.write(JSON.stringify(await step(first.slice('--step='.length), folder, signed === 'signed')));
    return;
  }
  for (const measured of await measure(Number(first) * MIB, folder)) process.stdout.write(`${describeMeasured(measured)}\n`);
}

if (process.argv[1] === self) await main();
