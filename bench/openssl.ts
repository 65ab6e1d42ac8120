/**
 * Loading a model with the OpenSSL of a prebuild against the one of Node: the same model from the same folder, already in the page cache.
 *
 *   npx tsx bench/openssl.ts [MiB]
 *
 * Needs a prebuild (`npm run prebuild`) beside the addon that npm ci has compiled. Each measurement is a process of its own, after a
 * small load that starts the engine. Medians of ROUNDS rounds (default 7), interleaved. `accepted`: unsigned: 'accept'; `verified`: the
 * publisher's digest is checked too.
 */
import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeviceKey, fileStore, load, protect, SigningKey, useNativeAddon, versions } from '../src/index.js';

const MIB = 2 ** 20;
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const KINDS = ['accepted', 'verified'] as const;
const WARM = 'warm@1';
const LARGE = 'large@1';

interface Place {
  readonly folder: string;
  readonly verifier: string;
}
interface Measured {
  readonly openssl: string;
  readonly seconds: Readonly<Record<(typeof KINDS)[number], number>>;
}

const prebuilt = path.join(ROOT, 'prebuilds', `${process.platform}-${process.arch}`);
const addons = (): Readonly<Record<string, string>> => {
  const [name = ''] = readdirSync(prebuilt).filter((file) => file.endsWith('.node'));
  return { node: path.join(ROOT, 'build/Release/model_guard.node'), own: path.join(prebuilt, name) };
};

/** In a child. */
async function measure(addon: string, { folder, verifier }: Place): Promise<Measured> {
  useNativeAddon(addon);
  const identities = [await DeviceKey.fromFile(path.join(folder, 'device.key'))];
  const from = fileStore(path.join(folder, 'store'));
  const timed = async (reference: string, origin: { verifier: string } | { unsigned: 'accept' }): Promise<number> => {
    const started = performance.now();
    const model = await load(reference, { from, identities, ...origin });
    const seconds = (performance.now() - started) / 1000;
    model.dispose();
    return seconds;
  };
  await timed(WARM, { verifier });
  const seconds = { accepted: await timed(LARGE, { unsigned: 'accept' }), verified: await timed(LARGE, { verifier }) };
  return { openssl: versions().openssl.version, seconds };
}

const inChild = (addon: string, place: Place): Measured => {
  const words = [...process.execArgv, fileURLToPath(import.meta.url), '--child', addon, place.folder, place.verifier];
  return JSON.parse(execFileSync(process.execPath, words, { encoding: 'utf8' })) as Measured;
};

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

async function main(size: number, rounds: number): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'model-guard-bench-'));
  try {
    const [device, signer] = [DeviceKey.generate(), SigningKey.generate()];
    await device.save(path.join(folder, 'device.key'));
    const to = fileStore(path.join(folder, 'store'));
    for (const [reference, bytes] of [
      [WARM, MIB],
      [LARGE, size],
    ] as const) {
      const source = path.join(folder, 'model.bin');
      writeFileSync(source, randomFillSync(Buffer.allocUnsafe(bytes)), { mode: 0o600 });
      const [name = '', version = ''] = reference.split('@');
      await protect(source, { name, version, recipients: [device], signer, to });
      rmSync(source);
    }
    const place = { folder, verifier: signer.publicKey.toString() };
    const all: Record<string, Measured[]> = { node: [], own: [] };
    for (let round = 0; round < rounds; round++)
      for (const [name, addon] of Object.entries(addons())) all[name]?.push(inChild(addon, place));
    console.log(`${size / MIB} MiB, medians of ${rounds}`);
    for (const kind of KINDS) {
      const [node = [], own = []] = ['node', 'own'].map((name) => all[name]?.map(({ seconds }) => seconds[kind]));
      const speed = (seconds: readonly number[]): string => `${(size / median(seconds) / 1e9).toFixed(2)} GB/s`;
      const ratio = median(node.map((seconds, round) => seconds / (own[round] ?? 0)));
      console.log(
        `${kind}: OpenSSL ${all.node?.[0]?.openssl} of Node ${speed(node)}, own ${all.own?.[0]?.openssl} ${speed(own)}: ${ratio.toFixed(2)} times as fast`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const [word, addon = '', folder = '', verifier = ''] = process.argv.slice(2);
if (word === '--child') console.log(JSON.stringify(await measure(addon, { folder, verifier })));
else await main(Number(word ?? 512) * MIB, Number(process.env.ROUNDS ?? 7));
