/** The state that a device keeps of a server (docs/server-protocol.md, section 4), as values. */
import { z } from 'zod';
import { decode, encode } from '../../base/bytes.js';
import { list, text } from '../../base/schemas.js';
import { type Checkpoint, type Statement, shapes } from '../../contract/index.js';
import { ModelGuardError } from '../../errors.js';
import type { Seen } from '../clock.js';

/** Where a big part is for some minutes. */
export interface BigFacts {
  readonly name: string;
  readonly size: number;
  readonly url: string;
  readonly treeUrl?: string | undefined;
  /** Seconds since 1970. */
  readonly expires: number;
}

/** The server's grant for one model. */
export interface Grant {
  readonly small: Uint8Array;
  readonly lease: Statement;
  readonly big: BigFacts;
}

export interface State {
  /** Signing keys: the one that was pinned, and those that it named as its successors. */
  readonly keys: readonly string[];
  /** The highest of each model. */
  readonly ordinals: ReadonlyMap<string, number>;
  /** The last lease of each model, oldest first. */
  readonly leases: ReadonlyMap<string, Grant>;
  readonly checkpoint?: Checkpoint | undefined;
  readonly clock?: Seen | undefined;
}

export const NOTHING: State = { keys: [], ordinals: new Map(), leases: new Map() };

/** As the addon limits it. */
const MAX_BYTES = 16 * 1024 * 1024;
const VERSION = 1;
/** More do not fit into the bytes. */
const MAX_MODELS = 1_000_000;

const { grant, modelName, verifyingKey, seconds } = shapes;
const written = z.object({
  version: z.literal(VERSION),
  keys: list(verifyingKey, 10_000),
  // Lists of pairs: `constructor` is a name that a model may have.
  ordinals: list(z.tuple([modelName, z.int().min(1)]), MAX_MODELS),
  leases: list(z.tuple([modelName, grant.omit({ checkpoint: true, history: true })]), MAX_MODELS),
  checkpoint: shapes.checkpoint.optional(),
  clock: z.object({ time: seconds, bootId: text(64), boottime: z.number() }).optional(),
});

/** Leaves out the oldest leases if it would be too large: those open with the server only. */
export function writeState(state: State): Uint8Array {
  const leases = [...state.leases].map(([name, { small, ...rest }]) => [name, { small: encode(small), ...rest }]);
  for (;;) {
    const bytes = Buffer.from(JSON.stringify({ ...state, version: VERSION, ordinals: [...state.ordinals], leases }));
    if (bytes.length <= MAX_BYTES) return bytes;
    if (leases.shift() === undefined)
      throw new ModelGuardError('LIMIT_EXCEEDED', `What is to be remembered of the server has ${bytes.length} bytes`);
  }
}

/** VERSION_UNSUPPORTED: it is authentic, so another version of this package wrote it. */
export function readState(bytes: Uint8Array): State {
  const { keys, ordinals, leases, checkpoint, clock } = parsed(bytes);
  return {
    keys,
    ordinals: new Map(ordinals),
    leases: new Map(leases.map(([name, { small, ...rest }]) => [name, { small: decode(small), ...rest }])),
    checkpoint,
    clock,
  };
}

function parsed(bytes: Uint8Array): z.output<typeof written> {
  try {
    return written.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch {
    throw new ModelGuardError('VERSION_UNSUPPORTED', 'What is remembered of the server was written by another version', {
      advice: 'Update model-guard on this machine.',
    });
  }
}
