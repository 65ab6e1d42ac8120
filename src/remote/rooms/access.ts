/** Devices, what they may load, and what they hold. */
import type { Connection } from '../connection.js';
import { paged } from '../http/pages.js';
import type { FindOutcome } from '../outcome.js';
import type { Device, Entitlement, IssuedLease, NewEntitlement } from '../records.js';
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

/** Which entitlements are wanted. */
export interface EntitlementQuery extends CallerOptions {
  readonly account?: string | undefined;
  readonly name?: string | undefined;
}

/** Who may load and unlock what. */
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
