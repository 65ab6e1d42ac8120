/** Leases that the server handed out. */

import type { Connection } from '../connection.js';
import { paged } from '../http/pages.js';
import type { IssuedLease } from '../records.js';
import type { CallerOptions } from '../types.js';

/** Which leases are wanted. */
export interface LeaseQuery extends CallerOptions {
  readonly device?: string | undefined;
  readonly name?: string | undefined;
  /** Neither over nor revoked. */
  readonly active?: boolean | undefined;
}

/** Leases that the server handed out. */
export class IssuedLeases {
  readonly #connection: Connection;
  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Page after page, as the iteration goes on. */
  list({ signal, active, ...query }: LeaseQuery = {}): AsyncIterable<IssuedLease> {
    const wanted = active === undefined ? query : { ...query, active: active ? ('true' as const) : ('false' as const) };
    return paged(signal, (cursor) => this.#connection.call('listLeases', { query: { ...wanted, cursor } }, { signal }));
  }
  /** Frees its seat. A device that is away may use it until its offline-until. */
  async revoke(lease: string, options: CallerOptions = {}): Promise<void> {
    await this.#connection.call('revokeLease', { params: { lease } }, options);
  }
}
