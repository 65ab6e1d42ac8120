/** The report of `npm run bench`: a table for each size, and a picture of the largest one. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { plainInference } from './inference.js';
import { drawBars } from './picture.js';
import { copySubject, pieceRead, readFileSubject, smallReadFile } from './plain.js';
import type { Kind, Subject } from './subject.js';

const MIB = 2 ** 20;
const PAGE = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));
const PICTURE = fileURLToPath(new URL('../../docs/performance.svg', import.meta.url));
/** The part of the page that this program writes. */
const MARKS = { begin: '<!-- npm run bench: begin -->', end: '<!-- npm run bench: end -->' };

/** Values of one subject, by round. */
export interface Series {
  readonly subject: Subject;
  readonly seconds: readonly number[];
  readonly grown: readonly (number | undefined)[];
  /** Why there are none. */
  readonly missing?: string | undefined;
}
/** One size, warm or cold. */
export interface Table {
  readonly bytes: number;
  readonly cold: boolean;
  readonly series: readonly Series[];
}

/** Ratios compare with these, round by round. */
export const BASES: Readonly<Record<Kind, Subject>> = {
  load: readFileSubject,
  piece: pieceRead,
  latency: smallReadFile,
  protect: copySubject,
  inference: plainInference,
};
const KINDS: readonly Kind[] = ['load', 'piece', 'latency', 'protect', 'inference'];
const TITLES: Readonly<Record<Kind, string>> = {
  load: 'Load',
  piece: 'A piece',
  latency: 'Latency',
  protect: 'Protect',
  inference: 'First inference',
};

const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b);
const median = (values: readonly number[]): number => sorted(values)[values.length >> 1] ?? Number.NaN;
const speeds = ({ seconds }: Series, { bytes }: Table) => seconds.map((each) => bytes / each / 1e9);
/** Speed of a whole model means nothing where only a part of it, or far more than it, is worked on. */
const HAS_SPEED: readonly Kind[] = ['load', 'protect'];
const milliseconds = (seconds: number) => (seconds < 0.1 ? (seconds * 1000).toFixed(2) : (seconds * 1000).toFixed(0));

function row(one: Series, table: Table): string {
  const { subject, seconds, grown, missing } = one;
  if (missing !== undefined) return `| ${subject.name} | missing: ${missing} | | | |`;
  const [speed, base] = [speeds(one, table), table.series.find((other) => other.subject === BASES[subject.kind])];
  const ratio = median(seconds.map((each, round) => (base?.seconds[round] ?? Number.NaN) / each));
  const [least, most] = [sorted(speed)[0] ?? 0, sorted(speed).at(-1) ?? 0];
  const range = HAS_SPEED.includes(subject.kind) ? `${median(speed).toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)})` : '–';
  const peaks = grown.filter((bytes) => bytes !== undefined);
  const peak = peaks.length === 0 ? '–' : (median(peaks) / MIB).toFixed(0);
  return `| ${subject.name} | ${milliseconds(median(seconds))} | ${range} | ${Number.isNaN(ratio) ? '–' : ratio.toFixed(2)} | ${peak} |`;
}

/** As people write it. */
export function sizeOf(bytes: number): string {
  if (bytes >= 1024 * MIB) return `${bytes / 1024 / MIB} GiB`;
  return bytes >= MIB ? `${bytes / MIB} MiB` : `${Math.round(bytes / 1024)} KiB`;
}

function section(table: Table, kind: Kind): string[] {
  const series = table.series.filter(({ subject }) => subject.kind === kind);
  if (series.length === 0) return [];
  return [
    `**${TITLES[kind]}, ${sizeOf(table.bytes)}, ${table.cold ? 'cold' : 'warm'}**`,
    '',
    `| | ms | GB/s (least–most) | × ${BASES[kind].name} | peak memory, MiB |`,
    '|---|---|---|---|---|',
    ...series.map((one) => row(one, table)),
    '',
  ];
}

/** All tables, as Markdown. */
export const tablesOf = (tables: readonly Table[]): string =>
  tables.flatMap((table) => KINDS.flatMap((kind) => section(table, kind))).join('\n');

export function writeReport(
  tables: readonly Table[],
  { machine, rounds, write }: { readonly machine: string; readonly rounds: number; readonly write: boolean },
): void {
  const text = `${machine}. Medians of ${rounds} interleaved rounds.\n\n${tablesOf(tables)}`;
  console.log(text);
  if (!write) return;
  const page = readFileSync(PAGE, 'utf8');
  const [from, to] = [page.indexOf(MARKS.begin) + MARKS.begin.length, page.indexOf(MARKS.end)];
  if (from < MARKS.begin.length || to < from) throw new Error(`docs/performance.md lacks "${MARKS.begin}" … "${MARKS.end}"`);
  writeFileSync(PAGE, `${page.slice(0, from)}\n\n${text}\n${page.slice(to)}`);
  const largest = tables.filter(({ cold }) => !cold).reduce((a, b) => (b.bytes > a.bytes ? b : a));
  const bars = largest.series
    .filter(({ subject, missing }) => subject.kind === 'load' && missing === undefined)
    .map((one) => ({ name: one.subject.name, value: median(speeds(one, largest)) }))
    .sort((a, b) => b.value - a.value);
  writeFileSync(PICTURE, drawBars(`Into memory, ${largest.bytes / MIB} MiB in the page cache, GB/s`, bars));
}
