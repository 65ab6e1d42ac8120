/**
 * The speed of loading and protecting a model, against reading the plain file and against other ways to keep a file encrypted.
 *
 *   npm run bench                                   # 1 MiB, 64 MiB, 1 GiB, warm and cold, 5 rounds: about half an hour
 *   npm run bench -- --sizes 1024 --rounds 7 --only model-guard,plain
 *   npm run bench -- --onnx FILE                    # first inference of another model
 *   npm run bench -- --write                        # also into docs/performance.md and its picture
 *
 * Each measurement is a process of its own, which loads its modules and warms up on 1 MiB first. Rounds are interleaved, so that what else
 * the machine does meets all subjects alike; ratios are taken within a round. Warm: the files are in the page cache. Cold: their pages were
 * dropped before each measurement.
 */
import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Result } from './child.js';
import { ADDON, prepareStore } from './ours.js';
import { BASES, sizeOf, type Table, writeReport } from './report.js';
import type { Kind, Place, Subject } from './subject.js';
import { SUBJECTS } from './subjects.js';

const MIB = 2 ** 20;
/** Bytes of the model whose latency is measured. */
const SMALL = 64 * 1024;
const EXAMPLE = fileURLToPath(new URL('../../examples/bearing-faults/model.onnx', import.meta.url));
const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));

function writePlain(file: string, bytes: number): void {
  const to = openSync(file, 'wx', 0o600);
  const piece = Buffer.allocUnsafe(Math.min(bytes, 64 * MIB));
  for (let left = bytes; left > 0; left -= Math.min(left, piece.length))
    writeSync(to, randomFillSync(piece), 0, Math.min(left, piece.length));
  fsyncSync(to);
  closeSync(to);
}

/** A folder with everything that `subjects` need. The plain file is a copy of `model`, or random. */
async function prepare(folder: string, model: number | string, subjects: readonly Subject[]): Promise<Place> {
  mkdirSync(folder);
  const plain = path.join(folder, 'plain.bin');
  if (typeof model === 'string') copyFileSync(model, plain);
  else writePlain(plain, model);
  const place = { folder, bytes: statSync(plain).size, plain };
  await prepareStore(place);
  for (const subject of subjects) if (subject.missing?.(place.bytes) === undefined) await subject.prepare?.(place);
  return place;
}

/** Drops the pages of all files below `folder` from the page cache. */
function evict(folder: string): void {
  execFileSync('sync', ['-f', folder]);
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const file = path.join(folder, entry);
    if (statSync(file).isFile()) execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
  }
}

function measure(subject: Subject, place: Place): Result {
  const words = ['--import', 'tsx', CHILD, subject.kind, subject.name, JSON.stringify(place)];
  return JSON.parse(execFileSync(process.execPath, words, { encoding: 'utf8' })) as Result;
}

function measureAll(place: Place, subjects: readonly Subject[], rounds: number, cold: boolean): Table {
  const all = subjects.map((subject) => ({
    subject,
    seconds: [] as number[],
    grown: [] as (number | undefined)[],
    missing: subject.missing?.(place.bytes),
  }));
  for (let round = 0; round < rounds; round++)
    for (const series of all) {
      if (series.missing !== undefined) continue;
      if (cold) evict(place.folder);
      const { seconds, grown } = measure(series.subject, place);
      series.seconds.push(seconds);
      series.grown.push(grown);
      process.stderr.write(
        `${sizeOf(place.bytes)} ${cold ? 'cold' : 'warm'}: ${series.subject.name}: ${(seconds * 1000).toFixed(1)} ms\n`,
      );
    }
  return { bytes: place.bytes, cold, series: all };
}

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1,64,1024' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string' },
    warm: { type: 'boolean', default: false },
    onnx: { type: 'string', default: EXAMPLE },
    folder: { type: 'string', default: tmpdir() },
    write: { type: 'boolean', default: false },
  },
});
const wanted = values.only?.split(',');
const bases = Object.values(BASES);
const subjectsOf = (...kinds: readonly Kind[]) =>
  SUBJECTS.filter(
    (one) => kinds.includes(one.kind) && (bases.includes(one) || !wanted || wanted.some((word) => one.name.includes(word))),
  );
const rounds = Number(values.rounds);
const folder = mkdtempSync(path.join(values.folder, 'model-guard-bench-'));
try {
  const tables: Table[] = [];
  const measureModel = async (model: number | string, subjects: readonly Subject[], temperatures: readonly boolean[]) => {
    const place = await prepare(path.join(folder, String(tables.length)), model, subjects);
    for (const cold of temperatures) tables.push(measureAll(place, subjects, rounds, cold));
    rmSync(place.folder, { recursive: true });
  };
  for (const size of values.sizes.split(',').map(Number))
    await measureModel(size * MIB, subjectsOf('load', 'piece', 'protect'), values.warm ? [false] : [false, true]);
  await measureModel(SMALL, subjectsOf('latency'), [false]);
  await measureModel(values.onnx, subjectsOf('inference'), [false]);
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Linux ${release().split('-')[0]}, Node ${process.versions.node}; addon: ${ADDON}`;
  writeReport(tables, { machine, rounds, write: values.write });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
