/** Many loads over connections that go wrong: each must end in the right bytes or in an error that fits, in time, with few requests. */
import { isModelGuardError } from '../../src/errors.js';
import type { GuardedModel } from '../../src/index.js';
import type { RangedTestHooks } from '../../src/transfer/ranged.js';
import type { Plan, SeenRequest } from './fault-proxy.js';
import type { Fault } from './faults.js';
import type { JumpingTime } from './jumping-time.js';
import type { Random } from './seed.js';
import { type Ending, extentOf, TIMEOUT_MS, type Trouble, type Wish, wishOf } from './troubles.js';

/** Of a client, for a range and for anything else. */
const ATTEMPTS = 6;
const OTHER_ATTEMPTS = 4;
/** Attempts begin anew after so many bytes. */
const PROGRESS = 256 * 1024;
/** The longest pause between two attempts, in milliseconds. */
const PAUSE_MS = 10_000;
/** Of the real time, in which nothing waits: no load takes a fraction of it. */
const HANGS_MS = 90_000;
const OTHERS: readonly Wish[] = ['small', 'facts', 'tree'];
/** What always meets a lasting trouble. A load does without the tree. */
const SUFFERING: ReadonlySet<Wish> = new Set(['tree', 'range']);
export const CONNECTIONS = 4;

/** A way to load a model through the proxy. */
export interface Way {
  readonly name: string;
  /** Requests that go through the proxy. */
  readonly wishes: readonly Wish[];
  readonly bigSize: number;
  load(surroundings: RangedTestHooks): Promise<GuardedModel>;
}

/** Where loads run one after another, so that a request can be told to belong to one. */
export interface Lane {
  readonly plain: Uint8Array;
  readonly ways: readonly Way[];
  owns(request: SeenRequest): boolean;
}

interface Settings {
  readonly random: Random;
  readonly time: JumpingTime;
  readonly rangeBytes: readonly number[];
}

export interface Tally {
  readonly fault: string;
  readonly loads: number;
  readonly endings: ReadonlyMap<Ending, number>;
  readonly mostRequests: number;
  /** In seconds of the clients. */
  readonly longest: number;
  /** What should not have been, a line each. */
  readonly wrong: readonly string[];
}

type Mode = 'once' | 'always' | 'often';
const MODES: readonly Mode[] = ['once', 'always', 'often'];

export class FaultyLoads {
  readonly #lanes: readonly Lane[];
  readonly #settings: Settings;
  readonly #running = new Map<Lane, Load>();

  constructor(lanes: readonly Lane[], settings: Settings) {
    this.#lanes = lanes;
    this.#settings = settings;
  }

  /** For the proxy. */
  readonly plan: Plan = (request) => {
    const lane = this.#lanes.find((one) => one.owns(request));
    return lane && this.#running.get(lane)?.meet(request);
  };

  /** `loads` of them, one at a time in each lane. */
  async run(trouble: Trouble, loads: number): Promise<Tally> {
    const endings = new Map<Ending, number>();
    const wrong: string[] = [];
    let mostRequests = 0;
    let longest = 0;
    let next = 0;
    const shift = this.#settings.random.integer(trouble.always.length);
    const inLane = async (lane: Lane): Promise<void> => {
      while (next < loads) {
        const load = new Load(trouble, next++, shift, lane, this.#settings);
        this.#running.set(lane, load);
        const { ending, seconds, complaints } = await load.run();
        this.#running.delete(lane);
        endings.set(ending, (endings.get(ending) ?? 0) + 1);
        mostRequests = Math.max(mostRequests, load.requests);
        longest = Math.max(longest, seconds);
        wrong.push(...complaints.map((one) => `${load.label}: ${one}`));
      }
    };
    await Promise.all(this.#lanes.map(inLane));
    return { fault: trouble.name, loads, endings, mostRequests, longest, wrong };
  }
}

class Load {
  readonly label: string;
  readonly #asked = new Map<Wish, number>();
  readonly #lane: Lane;
  readonly #way: Way;
  readonly #rangeBytes: number;
  readonly #time: JumpingTime;
  readonly #meets: (request: SeenRequest) => Fault | undefined;
  readonly #ends: ReadonlySet<Ending>;
  #struck = 0;

  constructor(trouble: Trouble, index: number, shift: number, lane: Lane, { random, time, rangeBytes }: Settings) {
    const round = Math.floor(index / MODES.length);
    const mode = turn(MODES, index);
    this.#lane = lane;
    this.#way = turn(lane.ways, index + round);
    this.#rangeBytes = random.pick(rangeBytes);
    this.#time = time;
    this.label = `load ${index} (${trouble.name} ${mode}, ${this.#way.name}, ranges of ${this.#rangeBytes} bytes)`;
    // By turns with the ways, so that each meets each.
    const lasting = turn(trouble.always, shift + Math.floor(round / lane.ways.length));
    if (mode === 'once') {
      this.#meets = this.#once(trouble, round, random);
      this.#ends = new Set(['right']);
    } else if (mode === 'always') {
      const making = lasting.makes(random);
      this.#meets = (request) => (SUFFERING.has(wishOf(request)) ? making(extentOf(request)) : undefined);
      this.#ends = new Set(lasting.ends);
    } else {
      this.#meets = (request) =>
        trouble.strikes.includes(wishOf(request)) && random.integer(4) === 0
          ? trouble.once(random)(extentOf(request))
          : undefined;
      this.#ends = new Set(['right', ...trouble.always.flatMap(({ ends }) => ends)]);
    }
  }

  get #ranges(): number {
    return Math.ceil(this.#way.bigSize / this.#rangeBytes);
  }

  /** Strikes one request, each kind by turns, and as many of its kind after it as the trouble wants. */
  #once(trouble: Trouble, round: number, random: Random): (request: SeenRequest) => Fault | undefined {
    const others = OTHERS.filter((wish) => trouble.strikes.includes(wish) && this.#way.wishes.includes(wish));
    const wish = turn<Wish>(['range', ...others], round);
    const making = trouble.once(random);
    let spared = wish === 'range' ? random.integer(this.#ranges) : 0;
    let left = trouble.times?.(random) ?? 1;
    return (request) => {
      if (wishOf(request) !== wish || spared-- > 0 || left <= 0) return undefined;
      left -= 1;
      return making(extentOf(request));
    };
  }

  meet(request: SeenRequest): Fault | undefined {
    const wish = wishOf(request);
    this.#asked.set(wish, (this.#asked.get(wish) ?? 0) + 1);
    const fault = this.#meets(request);
    if (fault) this.#struck += 1;
    return fault;
  }

  /** Of one range: those that brought much begin the count anew, and damage is read a second time. */
  get #attempts(): number {
    return ATTEMPTS * (1 + Math.floor(this.#rangeBytes / PROGRESS)) * 2;
  }

  get requests(): number {
    return [...this.#asked.values()].reduce((sum, count) => sum + count, 0);
  }

  async run(): Promise<{ ending: Ending; seconds: number; complaints: string[] }> {
    const mostOf = (wish: Wish): number => (wish === 'range' ? this.#ranges * this.#attempts : OTHER_ATTEMPTS);
    const rounds = Math.ceil(this.#ranges / CONNECTIONS);
    const deadline = (rounds * this.#attempts + OTHERS.length * OTHER_ATTEMPTS) * (TIMEOUT_MS + PAUSE_MS);
    const started = this.#time.now();
    const [ending, told] = await this.#ended();
    const seconds = (this.#time.now() - started) / 1000;
    const complaints: string[] = [];
    if (!this.#ends.has(ending)) complaints.push(`ended with ${ending}, not with ${[...this.#ends].join(' or ')}${told}`);
    for (const [wish, count] of this.#asked)
      if (!(count <= mostOf(wish))) complaints.push(`made ${count} requests (${wish}), more than ${mostOf(wish)}`);
    if (!(seconds * 1000 <= deadline)) complaints.push(`took ${seconds} s`);
    if (this.#ends.size === 1 && this.#struck === 0) complaints.push('met no fault');
    return { ending, seconds, complaints };
  }

  async #ended(): Promise<[Ending, string]> {
    const { pace } = this.#time;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<[Ending, string]>((resolve) => {
      timer = setTimeout(() => resolve(['INTERNAL', ' (it hangs)']), HANGS_MS);
    });
    try {
      return await Promise.race([late, this.#loaded({ pace, timers: this.#time, rangeBytes: this.#rangeBytes })]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #loaded(surroundings: RangedTestHooks): Promise<[Ending, string]> {
    try {
      const model = await this.#way.load(surroundings);
      const right = Buffer.compare(model.bytes, this.#lane.plain) === 0;
      model.dispose();
      return right ? ['right', ''] : ['INTERNAL', ' (wrong bytes)'];
    } catch (error) {
      if (isModelGuardError(error)) return [error.code, `: ${error.message}`];
      return ['INTERNAL', `: ${String(error)}`];
    }
  }
}

function turn<Item>(items: readonly Item[], index: number): Item {
  const item = items[index % items.length];
  if (item === undefined) throw new RangeError('nothing to choose from');
  return item;
}

/** For whoever reads the log of a test run. */
export function table(tallies: readonly Tally[]): string {
  const row = (...cells: (string | number)[]): string =>
    cells.map((cell, index) => String(cell).padEnd([12, 7, 7, 15, 12][index] ?? 0)).join('');
  const lines = tallies.map(({ fault, loads, endings, mostRequests, longest }) => {
    const errors = [...endings].filter(([ending]) => ending !== 'right').map(([code, count]) => `${code} ${count}`);
    return row(fault, loads, endings.get('right') ?? 0, mostRequests, longest.toFixed(0), errors.join(', ') || '-');
  });
  return [row('fault', 'loads', 'right', 'most requests', 'longest (s)', 'errors'), ...lines].join('\n');
}
