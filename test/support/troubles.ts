/** The faults that may meet a load, and the ends that it may then have. */
import type { ModelGuardErrorCode } from '../../src/errors.js';
import type { SeenRequest } from './fault-proxy.js';
import type { Fault } from './faults.js';
import type { Random } from './seed.js';

/** What a request is for. */
export type Wish = 'small' | 'facts' | 'tree' | 'range';
export type Ending = 'right' | ModelGuardErrorCode;

/** A range of the big part; nothing for other requests. */
export interface Extent {
  readonly start: number;
  readonly length: number;
}
/** Undefined: this request goes well. */
export type Making = (extent: Extent) => Fault | undefined;

export interface Trouble {
  readonly name: string;
  /** Requests that may meet it once, and the load ends well all the same. Nothing tells damage to a small part from a wrong one. */
  readonly strikes: readonly Wish[];
  readonly once: (random: Random) => Making;
  /** How many requests one after another it takes. Default: one. */
  readonly times?: (random: Random) => number;
  /** Under it all requests for ranges and the tree suffer. */
  readonly always: readonly { readonly makes: (random: Random) => Making; readonly ends: readonly Ending[] }[];
}

/** How long a request may bring nothing, in milliseconds. */
export const TIMEOUT_MS = 20_000;

export function wishOf({ method, url, headers }: SeenRequest): Wish {
  if (url.pathname.includes('/small/')) return 'small';
  if (url.pathname.endsWith('.tree')) return 'tree';
  return method === 'HEAD' || headers.range === 'bytes=0-0' ? 'facts' : 'range';
}

export function extentOf({ headers }: SeenRequest): Extent {
  const [, from = 0, to = -1] = /^bytes=([0-9]+)-([0-9]+)$/.exec(headers.range ?? '') ?? [];
  return { start: Number(from), length: Number(to) + 1 - Number(from) };
}

const EVERY: readonly Wish[] = ['small', 'facts', 'tree', 'range'];
const KIB = 1024;
const below = (random: Random, length: number): number => random.integer(Math.max(1, length));
const lasting = (fault: Fault) => (): Making => () => fault;

/** Another range than the one that was asked for, and inside of the object. */
const shift = (random: Random): Making => {
  return ({ start }) => ({ kind: 'wrongRange', shift: start > 0 ? -1 - below(random, start) : 1 + below(random, 100) });
};
const whole: Fault = { kind: 'wrongRange', answer: 'whole' };
/** Never silent for long, and never done. */
const SLOW: Fault = { kind: 'trickle', bytes: 2 * KIB, everyMs: TIMEOUT_MS / 4 };
const unlabelled: Fault = { kind: 'wrongRange', answer: 'unlabelled' };

/** One byte of the object, whichever request it comes with. */
function rotten(random: Random): Making {
  const place = below(random, 900 * KIB);
  return ({ start, length }) => (start <= place && place < start + length ? { kind: 'corrupt', at: place - start } : undefined);
}

export const TROUBLES: readonly Trouble[] = [
  {
    name: 'delay',
    strikes: EVERY,
    once: (random) => (extent) =>
      random.pick<Fault>([
        { kind: 'delay', ms: 'never' },
        { kind: 'delay', ms: 2 * TIMEOUT_MS },
        { kind: 'delay', ms: 'never', after: below(random, extent.length) },
      ]),
    always: [
      { makes: lasting({ kind: 'delay', ms: 'never' }), ends: ['TIMED_OUT'] },
      { makes: lasting({ kind: 'delay', ms: TIMEOUT_MS / 40 }), ends: ['right'] },
      { makes: lasting({ kind: 'delay', ms: 'never', after: 10 * KIB }), ends: ['TIMED_OUT'] },
    ],
  },
  {
    name: 'cut',
    strikes: EVERY,
    once: (random) => (extent) => ({ kind: 'cut', after: below(random, extent.length) }),
    always: [
      { makes: (random) => () => ({ kind: 'cut', after: below(random, 10 * KIB) }), ends: ['SERVER_UNREACHABLE'] },
      { makes: lasting({ kind: 'cut', after: 300 * KIB }), ends: ['right'] },
    ],
  },
  {
    name: 'burst',
    strikes: EVERY,
    once: (random) => () => ({
      kind: 'burst',
      count: 1,
      status: random.pick([500, 503]),
      ...(random.integer(2) === 0 && { retryAfter: 1 }),
    }),
    times: (random) => 1 + random.integer(3),
    always: [
      { makes: lasting({ kind: 'burst', count: 1, status: 503 }), ends: ['SERVER_FAILED'] },
      { makes: lasting({ kind: 'burst', count: 1, status: 500 }), ends: ['SERVER_FAILED'] },
      { makes: lasting({ kind: 'burst', count: 1, status: 503, retryAfter: 3600 }), ends: ['SERVER_FAILED'] },
    ],
  },
  {
    name: 'truncate',
    strikes: ['tree', 'range'],
    once: (random) => (extent) => ({ kind: 'truncate', to: below(random, extent.length) }),
    always: [{ makes: (random) => () => ({ kind: 'truncate', to: below(random, 3 * KIB) }), ends: ['RESPONSE_INVALID'] }],
  },
  {
    name: 'corrupt',
    strikes: ['tree', 'range'],
    once: (random) => (extent) => ({ kind: 'corrupt', at: below(random, extent.length) }),
    always: [
      {
        makes: (random) => (extent) => ({ kind: 'corrupt', at: below(random, extent.length) }),
        ends: ['DIGEST_MISMATCH', 'INTEGRITY_FAILED', 'PARTS_MISMATCH'],
      },
      { makes: rotten, ends: ['DIGEST_MISMATCH', 'INTEGRITY_FAILED'] },
    ],
  },
  {
    name: 'wrongRange',
    strikes: ['facts', 'range'],
    once: (random) => random.pick([shift(random), () => whole, () => unlabelled]),
    always: [
      { makes: shift, ends: ['RESPONSE_INVALID'] },
      { makes: lasting(whole), ends: ['RESPONSE_INVALID'] },
      { makes: lasting(unlabelled), ends: ['RESPONSE_INVALID'] },
    ],
  },
  {
    name: 'trickle',
    strikes: EVERY,
    once: () => () => SLOW,
    always: [
      { makes: lasting(SLOW), ends: ['TIMED_OUT'] },
      { makes: lasting({ kind: 'trickle', bytes: 64 * KIB, everyMs: TIMEOUT_MS / 4 }), ends: ['right'] },
    ],
  },
  {
    name: 'reset',
    strikes: EVERY,
    once: (random) => () => ({ kind: 'reset', when: random.pick(['asked', 'answered']) }),
    always: [
      { makes: lasting({ kind: 'reset', when: 'asked' }), ends: ['SERVER_UNREACHABLE'] },
      { makes: lasting({ kind: 'reset', when: 'answered' }), ends: ['SERVER_UNREACHABLE'] },
    ],
  },
  {
    name: 'etag',
    strikes: ['facts', 'range'],
    once: () => () => ({ kind: 'etag' }),
    always: [
      // As of another server behind the same address.
      { makes: lasting({ kind: 'etag' }), ends: ['right'] },
      { makes: (random) => () => ({ kind: 'etag', value: `"${random.integer(2 ** 40)}"` }), ends: ['right', 'RESPONSE_INVALID'] },
    ],
  },
];
