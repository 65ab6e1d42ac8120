/** One measurement, in a process of its own: `node --import tsx child.ts KIND NAME PLACE` prints a {@link Result}. */
import { readFileSync } from 'node:fs';
import type { Place } from './subject.js';
import { SUBJECTS } from './subjects.js';

/** A child prints this. */
export interface Result {
  readonly seconds: number;
  /** Most bytes that the process held, beyond those that it held before the work. */
  readonly grown: number | undefined;
}

const held = (field: 'VmHWM' | 'VmRSS'): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;

const [kind, name, place = ''] = process.argv.slice(2);
const subject = SUBJECTS.find((one) => one.kind === kind && one.name === name);
if (subject === undefined) throw new Error(`no subject ${kind} ${name}`);
const work = await subject.start(JSON.parse(place) as Place);
const before = held('VmRSS');
const started = performance.now();
const measured = await work();
const seconds = measured?.seconds ?? (performance.now() - started) / 1000;
const grown = measured === undefined ? held('VmHWM') - before : measured.peak;
console.log(JSON.stringify({ seconds, grown } satisfies Result));
process.exit();
