/** Leases: taken from the server, or, where it cannot be reached, the one that was kept. */
import type { AbortSignalLike } from '../../base/abort.js';
import { decode } from '../../base/bytes.js';
import { isModelGuardError, type ModelGuardError, type ModelGuardErrorCode } from '../../errors.js';
import type { ModelRef } from '../../stores/store.js';
import type { Connection } from '../connection.js';
import type { CallOptions } from '../http/client.js';
import { isAnswer } from '../http/failures.js';
import { checkCheckpoint } from '../trust.js';
import { checkGrant } from './grants.js';
import { type Kept, type KeptLease, keptLease, versionOf } from './kept.js';
import { type Before, type Memory, namingLog } from './memory.js';
import { proveLease, type Signer } from './proof.js';
import type { Grant } from './state.js';
import { isUnavailable, SHORT_MS, shortly, warnIfUntrusted } from './unavailable.js';

interface LeaseOptions {
  readonly connection: Connection;
  readonly memory: Memory;
  readonly device: Signer;
}

/** A lease, and where it came from. */
export interface Held extends Kept {
  readonly source: 'server' | 'kept';
  /** Why the server gave none. */
  readonly away?: ModelGuardError | undefined;
  /** The latest time that this device has seen, seconds since 1970. */
  readonly seen: number;
}

/** Codes that end a kept lease at once. */
const ENDING: ReadonlySet<ModelGuardErrorCode> = new Set([
  'DEVICE_REVOKED',
  'DEVICE_NOT_APPROVED',
  'NOT_AUTHORISED',
  'NOT_RELEASED',
  'NOT_FOUND',
]);
/** Those that are about the device, whatever it asked for. */
const ENDING_ALL: ReadonlySet<ModelGuardErrorCode> = new Set(['DEVICE_REVOKED', 'DEVICE_NOT_APPROVED']);

export class Leases {
  readonly #options: LeaseOptions;
  #away: { readonly error: ModelGuardError; readonly at: number } | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** The server was found away while a load began: the same load need not wait for it again. */
  noteAway(error: ModelGuardError, at: number): void {
    this.#away = { error, at };
  }

  /**
   * Asks the server every time, so that a revocation holds at once; without it, the lease that was kept opens until its
   * offline-until.
   */
  async use(ref: ModelRef, signal?: AbortSignalLike): Promise<Held> {
    const { memory, connection, device } = this.#options;
    const { trust } = connection;
    const away = this.#away;
    this.#away = undefined;
    const before = await memory.before(signal);
    const { kept, unserved } = keptLease(before, ref, trust, device.id);
    try {
      if (kept && away && Math.abs(before.moment.wall - away.at) <= SHORT_MS / 1000) throw away.error;
      if (!kept) return await this.#take(ref, before, signal);
      return await shortly(connection, signal, (limited) => this.#take(ref, before, limited, true));
    } catch (error) {
      if (!isModelGuardError(error)) throw error;
      if (ENDING.has(error.code) && isAnswer(error) && trust.server !== undefined) {
        const all = ENDING_ALL.has(error.code);
        await memory.forget(trust.server, (name, grant) => all || (name === ref.name && versionOf(grant) === ref.version));
      }
      if (!isUnavailable(error)) throw error;
      if (unserved) throw unserved(error);
      memory.refuseOlder(before.state, kept.said, error);
      warnIfUntrusted(error);
      return { ...kept, source: 'kept', seen: await memory.used(kept.said.server, before.moment), away: error };
    }
  }

  /** The lease that is kept of a model, of whatever version, for when it cannot be asked which is the newest. */
  kept(before: Before, name: string): KeptLease {
    const { connection, device } = this.#options;
    return keptLease(before, { name }, connection.trust, device.id);
  }

  /** The whole procedure is what is repeated: a challenge is good for one request. A device that asks again takes no second seat. */
  #take(ref: ModelRef, before: Before, signal: AbortSignalLike | undefined, brief?: boolean): Promise<Held> {
    return this.#options.connection.procedure({ repeatable: true, signal, brief }, (options) => this.#ask(ref, before, options));
  }

  async #ask(ref: ModelRef, before: Before, options: CallOptions): Promise<Held> {
    const { connection, memory, device } = this.#options;
    const { client, trust, clock } = connection;
    const known = await trust.facts(options);
    const { challenge } = await client.call('challengeLease', { body: {} }, options);
    const asked = await clock();
    const answer = await namingLog(before, async (seen) => {
      const { name, version } = ref;
      const body = { device: device.id, challenge, ...seen, name, version, atLeast: memory.oldest(before.state, name) };
      const proof = proveLease(device, { serverId: known.server, challenge }, body);
      return await client.call('takeLease', { body }, { ...options, ...proof });
    });
    // A successor may have signed it that we have not heard of.
    const facts = trust.trusted.includes(answer.lease.key) ? known : await trust.ask(options);
    const said = await trust.read('lease', answer.lease, asked);
    const grant: Grant = { small: decode(answer.small), lease: answer.lease, big: answer.big };
    checkGrant(grant, said, { ...ref, device: device.id });
    if (answer.checkpoint) checkCheckpoint(answer.checkpoint, facts);
    return { grant, said, source: 'server', seen: await memory.learn(before, said, grant, answer) };
  }
}
