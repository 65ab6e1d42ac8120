/**
 * Loading a model from an S3 server while it is decrypted, against downloading the same object alone: the same ranges, as many at once,
 * by the same S3 client, into memory of the same size.
 *
 *   node scripts/services.mjs --only s3 -- npx tsx bench/download.ts [MiB]
 *
 * Each measurement is a process of its own and tells the peak that the kernel saw (VmHWM) beside what it held before. Medians of
 * ROUNDS rounds (default 5), interleaved. `accepted`: unsigned: 'accept'; `verified`: the publisher's digest is checked too.
 */
import { spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { GetObjectCommand, HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { DeviceKey, load, protect, SigningKey, s3Store } from '../src/index.js';
import { CONNECTIONS, RANGE_BYTES } from '../src/transfer/ranged.js';
import { makeBucket } from '../test/support/services.js';

const MIB = 2 ** 20;
const KINDS = ['plain', 'accepted', 'verified'] as const;
type Kind = (typeof KINDS)[number];
const REF = { name: 'large', version: '1' };

interface Place {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly folder: string;
  readonly bigName: string;
  readonly verifier: string;
}
interface Measured {
  readonly seconds: number;
  readonly bytes: number;
  /** Peak less what the process held before, in bytes. */
  readonly grown: number;
}

const storeOf = ({ endpoint, region, bucket, credentials }: Place) => s3Store({ bucket, region, endpoint, credentials });
const status = (field: 'VmHWM' | 'VmRSS'): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;

/** Workers that take the next range each, as a plain download would. */
async function download(place: Place): Promise<number> {
  const { endpoint, region, credentials, bucket } = place;
  const client = new S3Client({
    endpoint,
    region,
    credentials,
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const object = { Bucket: bucket, Key: `big/${place.bigName}` };
  const { ContentLength: size = 0 } = await client.send(new HeadObjectCommand(object));
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let start = next; start < size; start = next) {
      const end = Math.min(size, start + RANGE_BYTES);
      next = end;
      const { Body } = await client.send(new GetObjectCommand({ ...object, Range: `bytes=${start}-${end - 1}` }));
      let at = start;
      for await (const piece of Body as AsyncIterable<Uint8Array>) {
        bytes.set(piece, at);
        at += piece.length;
      }
      if (at !== end) throw new Error(`a range ended at ${at} instead of ${end}`);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  client.destroy();
  return size;
}

async function loadOnce(place: Place, kind: Kind): Promise<number> {
  const identities = [await DeviceKey.fromFile(path.join(place.folder, 'device.key'))];
  const origin = kind === 'verified' ? { verifier: place.verifier } : ({ unsigned: 'accept' } as const);
  const model = await load(REF, { from: storeOf(place), identities, ...origin, cache: false });
  const [file] = [...model.files.values()];
  return file?.size ?? 0;
}

/** In a child: after one request, so that the client is loaded and connected. */
async function measure(kind: Kind, place: Place): Promise<Measured> {
  await storeOf(place).getSmall(REF);
  const before = status('VmRSS');
  const started = performance.now();
  const bytes = kind === 'plain' ? await download(place) : await loadOnce(place, kind);
  const seconds = (performance.now() - started) / 1000;
  return { seconds, bytes, grown: status('VmHWM') - before };
}

async function inChild(kind: Kind, place: Place): Promise<Measured> {
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), '--child', kind], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify(place));
  const text = await readAll(child.stdout);
  return JSON.parse(text) as Measured;
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces).toString('utf8');
}

function writeRandom(file: string, size: number): void {
  const piece = Buffer.alloc(4 * MIB);
  const handle = openSync(file, 'wx', 0o600);
  for (let at = 0; at < size; at += piece.length) writeSync(handle, randomFillSync(piece), 0, Math.min(piece.length, size - at));
  closeSync(handle);
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

async function main(size: number, rounds: number): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'model-guard-bench-'));
  const bucket = await makeBucket();
  try {
    const [device, signer] = [DeviceKey.generate(), SigningKey.generate()];
    await device.save(path.join(folder, 'device.key'));
    const { endpoint, region, owner } = bucket;
    const base = {
      endpoint,
      region,
      bucket: bucket.bucket,
      credentials: { accessKeyId: owner.id, secretAccessKey: owner.secret },
      folder,
      verifier: signer.publicKey.toString(),
    };
    const source = path.join(folder, 'model.bin');
    writeRandom(source, size);
    const place = { ...base, bigName: '' };
    const { payloadId, smallBytes, bigBytes } = await protect(source, {
      ...REF,
      recipients: [device],
      signer,
      to: storeOf(place),
    });
    rmSync(source);
    const names: string[] = [];
    const small = await storeOf(place).getSmall(REF);
    const { parts } = await import('../src/index.js').then(({ inspect }) => inspect(small));
    if (parts) names.push(parts.bigName);
    console.log(`${size / MIB} MiB (${payloadId}), big part ${bigBytes}, small part ${smallBytes} bytes`);
    const all = new Map<Kind, Measured[]>(KINDS.map((kind) => [kind, []]));
    for (let round = 0; round < rounds; round++)
      for (const kind of KINDS) {
        const one = await inChild(kind, { ...place, bigName: names[0] ?? '' });
        all.get(kind)?.push(one);
        console.log(`round ${round + 1} ${kind}: ${one.seconds.toFixed(2)} s, ${(one.grown / MIB).toFixed(0)} MiB`);
      }
    const secondsOf = (kind: Kind): number => median((all.get(kind) ?? []).map(({ seconds }) => seconds));
    const bound = 1.05 * size + 64 * MIB;
    console.log('\nmedian  seconds  GB/s   × plain  most memory (MiB)');
    for (const kind of KINDS) {
      const seconds = secondsOf(kind);
      const grown = Math.max(...(all.get(kind) ?? []).map((one) => one.grown));
      const ratio = median((all.get(kind) ?? []).map((one, index) => one.seconds / (all.get('plain')?.[index]?.seconds ?? 0)));
      console.log(
        `${kind.padEnd(9)} ${seconds.toFixed(2)}    ${(size / seconds / 1e9).toFixed(2)}   ${ratio.toFixed(3)}    ${(grown / MIB).toFixed(0)}` +
          (kind === 'plain' ? '' : ` of ${(bound / MIB).toFixed(0)} allowed: ${grown <= bound ? 'holds' : 'EXCEEDED'}`),
      );
    }
  } finally {
    await bucket.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[2] === '--child') {
  const place = JSON.parse(await readAll(process.stdin)) as Place;
  console.log(JSON.stringify(await measure(process.argv[3] as Kind, place)));
} else await main(Number(process.argv[2] ?? 1024) * MIB, Number(process.env.ROUNDS ?? 5));
