/** Versions of models, who may sign them, and what was decided about them. */
import { isDeepStrictEqual } from 'node:util';
import { parse } from '../../base/validate.js';
import { optionError } from '../../errors.js';
import type { VerifyingKey } from '../../keys/public.js';
import { type Reference, reference } from '../../stores/options.js';
import { checkedRef } from '../../stores/parts.js';
import type { ModelRef } from '../../stores/store.js';
import type { Connection } from '../connection.js';
import { paged } from '../http/pages.js';
import type { FindOutcome } from '../outcome.js';
import type { ModelVersion } from '../records.js';
import type { CallerOptions } from '../types.js';

/** Which versions are wanted. */
export interface VersionQuery extends CallerOptions {
  readonly name?: string | undefined;
  readonly state?: ModelVersion['state'] | undefined;
}

/** `name@version`, where only one version can be meant. NAME_INVALID, INVALID_ARGUMENT */
export function versionOf(ref: Reference): ModelRef {
  const { name, version } = parse(reference, ref, 'ref');
  if (version === undefined)
    throw optionError('INVALID_ARGUMENT', 'ref', `${name} has no version`, { advice: `Say ${name}@VERSION.` });
  return checkedRef({ name, version });
}

/** Finds out whether a decision was made: the version is in that state, and is the one that was decided about. */
export const stands =
  (connection: Connection, params: ModelRef, state: ModelVersion['state'], payloadId?: string): FindOutcome<ModelVersion> =>
  async (options) => {
    const there = await connection.call('getVersion', { params }, options);
    const decided = there.state === state && (payloadId === undefined || there.payloadId === payloadId);
    return decided ? { answer: there } : undefined;
  };

/** Versions that the server has, in whatever state. */
export class Models {
  readonly #connection: Connection;
  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Page after page, as the iteration goes on. */
  list({ signal, ...query }: VersionQuery = {}): AsyncIterable<ModelVersion> {
    return paged(signal, (cursor) => this.#connection.call('listVersions', { query: { ...query, cursor } }, { signal }));
  }
  /** NOT_FOUND */
  get(ref: Reference, options: CallerOptions = {}): Promise<ModelVersion> {
    return this.#connection.call('getVersion', { params: versionOf(ref) }, options);
  }
}

/** The publishers whose signatures the server accepts for a model. Devices trust only the keys that they pinned. */
export class Publishers {
  readonly #connection: Connection;
  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** `mgs1:…` of each. */
  async get(name: string, options: CallerOptions = {}): Promise<readonly string[]> {
    return (await this.#connection.call('getPublishers', { params: { name } }, options)).keys;
  }
  /** Replaces them: 1 to 16. */
  async set(name: string, keys: readonly (string | VerifyingKey)[], options: CallerOptions = {}): Promise<readonly string[]> {
    const body = { keys: keys.map(String) };
    const answer = await this.#connection.call('setPublishers', { params: { name }, body }, options, async (asking) => {
      const there = await this.#connection.call('getPublishers', { params: { name } }, asking);
      return isDeepStrictEqual([...there.keys].sort(), [...body.keys].sort()) ? { answer: there } : undefined;
    });
    return answer.keys;
  }
}
