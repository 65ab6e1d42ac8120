/** Entitlements: which account may load which model. */

import type { Connection } from '../connection.js';
import { paged } from '../http/pages.js';
import type { Entitlement, NewEntitlement } from '../records.js';
import type { CallerOptions } from '../types.js';

/** Which entitlements are wanted. */
export interface EntitlementQuery extends CallerOptions {
  readonly account?: string | undefined;
  readonly name?: string | undefined;
}

/** Entitlements: the accounts and devices that may load a model or unlock an archive. */
export class Entitlements {
  readonly #connection: Connection;
  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Page after page, as the iteration goes on. */
  list({ signal, ...query }: EntitlementQuery = {}): AsyncIterable<Entitlement> {
    return paged(signal, (cursor) => this.#connection.call('listEntitlements', { query: { ...query, cursor } }, { signal }));
  }
  /** Lets an account, or one of its devices, load a model or unlock an archive. */
  create(entitlement: NewEntitlement, options: CallerOptions = {}): Promise<Entitlement> {
    return this.#connection.call('createEntitlement', { body: { ...entitlement } }, options);
  }
  /** Takes it back, and the leases that were taken under it. */
  async delete(entitlement: string, options: CallerOptions = {}): Promise<void> {
    await this.#connection.call('deleteEntitlement', { params: { entitlement } }, options);
  }
}
