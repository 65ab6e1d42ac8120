/** Devices, as administrators see them. */

import type { Connection } from '../connection.js';
import { paged } from '../http/pages.js';
import type { FindOutcome } from '../outcome.js';
import type { Device } from '../records.js';
import type { CallerOptions } from '../types.js';

/** Which devices are wanted. */
export interface DeviceQuery extends CallerOptions {
  readonly state?: Device['state'] | undefined;
  readonly account?: string | undefined;
}

/** Devices of the server. Own ones, or all for those who decide about them. */
export class Devices {
  readonly #connection: Connection;
  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Page after page, as the iteration goes on. */
  list({ signal, ...query }: DeviceQuery = {}): AsyncIterable<Device> {
    return paged(signal, (cursor) => this.#connection.call('listDevices', { query: { ...query, cursor } }, { signal }));
  }
  /** NOT_FOUND */
  get(device: string, options: CallerOptions = {}): Promise<Device> {
    return this.#connection.call('getDevice', { params: { device } }, options);
  }
  /** Lets a device take leases. `fingerprint` is the one that the device itself printed: the server refuses another. */
  approve(device: string, fingerprint: string, options: CallerOptions = {}): Promise<Device> {
    const request = { params: { device }, body: { fingerprint } };
    return this.#connection.call('approveDevice', request, options, this.#stands(device, 'approved'));
  }
  /** Ends a device and its leases, for good. */
  revoke(device: string, options: CallerOptions = {}): Promise<Device> {
    return this.#connection.call('revokeDevice', { params: { device }, body: {} }, options, this.#stands(device, 'revoked'));
  }

  #stands(device: string, state: Device['state']): FindOutcome<Device> {
    return async (options) => {
      const there = await this.get(device, options);
      return there.state === state ? { answer: there } : undefined;
    };
  }
}
