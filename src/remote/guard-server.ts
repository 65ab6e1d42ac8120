/** The guard server as this SDK sees it: a store, and everything else that it does. */
import type { AbortSignalLike } from '../base/abort.js';
import { filePath, parse } from '../base/validate.js';
import { withVersion } from '../engine/store-defaults.js';
import { ModelGuardError } from '../errors.js';
import { retryHintOf, withRetryHint } from '../http/retry-hints.js';
import { type Reference, reference } from '../stores/options.js';
import { checkedBigName, checkedRef, label } from '../stores/parts.js';
import type * as S from '../stores/store.js';
import { rangedPart } from '../transfer/ranged.js';
import { OwnAccount, Users } from './api/accounts.js';
import { Archives } from './api/archives.js';
import { Audit } from './api/audit.js';
import { Devices } from './api/devices.js';
import { Entitlements } from './api/entitlements.js';
import { ServerKeys } from './api/keys.js';
import { IssuedLeases } from './api/leases.js';
import { Models, Publishers, stands, versionOf } from './api/models.js';
import { RemoteBigPart } from './big-part.js';
import type { Connection } from './connection.js';
import { enroll } from './device/enrolment.js';
import { latestOf } from './device/latest.js';
import type { Held } from './device/leases.js';
import type { BigFacts } from './device/state.js';
import { isUnavailable, shortly } from './device/unavailable.js';
import { enrolName, guardServerOptions, unlockOptions } from './options.js';
import { abandonBig, publishSmall, standingOf, uploadBig } from './publishing.js';
import type * as R from './records.js';
import { type OwnDevice, type Setup, setUp, type TestHooks } from './setup.js';
import type * as T from './types.js';
import { Unlocking } from './unlocking.js';

/**
 * A guard server: the store of models that are handed to approved devices for a limited time, and the way to administer it. Everything
 * that the server says is checked against `serverKey`. Nothing is asked before it is needed.
 *
 * With `device`, what it was given is kept, sealed to the device, in the folder `state`: without the server a lease opens until its
 * offline-until. The server is asked at every load where it can be reached, so that a revocation holds at once. Large models whose big
 * parts shall open without the server too need those in another store: `{ small: guard, big: fileStore(…) }`.
 * @throws INVALID_ARGUMENT, KEY_INVALID, KEY_TYPE_WRONG. Every method: NOT_AUTHENTICATED, NOT_AUTHORISED · SERVER_UNREACHABLE,
 *   SERVER_UNTRUSTED, SERVER_FAILED, RESPONSE_INVALID, RATE_LIMITED, TIMED_OUT · CLOCK_SKEWED · INVALID_ARGUMENT, NAME_INVALID · NOT_FOUND,
 *   ALREADY_EXISTS, LIMIT_EXCEEDED · ABORT_ERR
 * @see docs/server-protocol.md
 * @example
 * const guard = guardServer({
 *   url: 'https://guard.example.org', serverKey: 'mgs1:…', credentials: { file: '/run/secrets/guard' },
 *   device: await DeviceKey.fromFile('/etc/model-guard/device.key'), publishers: 'mgs1:…',
 * });
 * using model = await load('defects', { from: guard });
 */
export function guardServer(options: T.GuardServerOptions): GuardServer {
  return guardServerWithHooks(options, {});
}

/** The same, with time and chance of one's own. */
export function guardServerWithHooks(options: T.GuardServerOptions, surroundings: TestHooks): GuardServer {
  return new GuardServer(setUp(parse(guardServerOptions, options), surroundings));
}

/** A client of one guard server, under one account. `guardServer` makes it. */
export class GuardServer implements S.PartStore {
  readonly #setup: Setup;
  readonly #connection: Connection;
  /** The last lease of each model. */
  readonly #held = new Map<string, Held>();
  /** The account that is logged in. */
  readonly account: OwnAccount;
  readonly archives: Archives;
  readonly audit: Audit;
  readonly devices: Devices;
  readonly entitlements: Entitlements;
  /** Keys that publishers encrypt to. */
  readonly keys: ServerKeys;
  /** Leases that the server handed out, for administrators. */
  readonly leases: IssuedLeases;
  readonly models: Models;
  readonly publishers: Publishers;
  readonly users: Users;

  /** @internal */
  constructor(setup: Setup) {
    const { connection, device } = setup;
    this.#setup = setup;
    this.#connection = connection;
    this.account = new OwnAccount(connection);
    this.archives = new Archives(connection);
    this.audit = new Audit(connection, device?.memory);
    this.devices = new Devices(connection);
    this.entitlements = new Entitlements(connection);
    this.keys = new ServerKeys(connection);
    this.leases = new IssuedLeases(connection);
    this.models = new Models(connection);
    this.publishers = new Publishers(connection);
    this.users = new Users(connection);
  }

  /** Logs in now, instead of at the first request. */
  async login({ signal }: T.CallerOptions = {}): Promise<{ readonly expires: number; readonly mustChangePassword: boolean }> {
    const token = await this.#connection.token({ signal, fresh: true });
    return { expires: token?.expires ?? 0, mustChangePassword: token?.mustChangePassword ?? false };
  }

  /** Facts about the server, which it signs. */
  async server(options: T.CallerOptions = {}): Promise<R.ServerFacts> {
    const { server, keys, auditKey, logId, tokens, time, trusted } = await this.#connection.freshFacts(options);
    return { id: server, keys, auditKey, logId, tokens, time, signingKeys: trusted };
  }

  /**
   * Introduces this device. Print the fingerprint: an administrator compares it and approves. A device that is enrolled already is told
   * how it stands.
   */
  async enroll(name: string, { signal }: T.CallerOptions = {}): Promise<R.Enrolment> {
    const { signer } = this.#device('enroll');
    return await enroll(this.#connection, signer, parse(enrolName, name, 'name'), signal);
  }

  /**
   * Takes a lease, or renews it, as `load` does.
   * @throws DEVICE_NOT_APPROVED, DEVICE_REVOKED, NOT_RELEASED, SEATS_TAKEN, PROOF_INVALID · ROLLBACK_REFUSED · CLOCK_SET_BACK,
   *   CLOCK_SKEWED, LEASE_EXPIRED · AUDIT_LOG_ROLLED_BACK · INTEGRITY_FAILED if what the device keeps was changed
   */
  async lease(ref: Reference, { signal }: T.CallerOptions = {}): Promise<R.LeaseFacts> {
    const wanted = await withVersion(this, parse(reference, ref, 'ref'), { signal });
    const { said, source } = await this.#device('lease').leases.use(wanted, signal);
    const { lease: id, name, version, ordinal, device, notBefore, notAfter, offlineUntil, publishers } = said;
    return { id, name, version, ordinal, device, notBefore, notAfter, offlineUntil, publishers, source };
  }

  /**
   * Releases a version, as it was reviewed. One that is older than the released one only with `rollback`.
   * @throws REVIEW_OUTDATED if another payload is there by now · ROLLBACK_REFUSED
   */
  release(ref: Reference, { payloadId, rollback, ...options }: T.ReleaseOptions): Promise<R.ModelVersion> {
    const params = versionOf(ref);
    const body = { payloadId, rollback: rollback === 'accept' };
    const find = stands(this.#connection, params, 'released', payloadId);
    return this.#connection.call('releaseVersion', { params, body }, options, find);
  }
  /** Rejects a version that waits for a decision, as it was reviewed. @throws REVIEW_OUTDATED */
  reject(ref: Reference, { payloadId, ...options }: T.ReviewOptions): Promise<R.ModelVersion> {
    const params = versionOf(ref);
    const find = stands(this.#connection, params, 'rejected', payloadId);
    return this.#connection.call('rejectVersion', { params, body: { payloadId } }, options, find);
  }
  /** Ends a version and its leases: with `payloadId` that one alone, else whatever stands there. @throws REVIEW_OUTDATED */
  revoke(ref: Reference, { payloadId, ...options }: Partial<T.ReviewOptions> = {}): Promise<R.ModelVersion> {
    const params = versionOf(ref);
    const find = stands(this.#connection, params, 'revoked', payloadId);
    return this.#connection.call('revokeVersion', { params, body: { payloadId } }, options, find);
  }

  /** As the function `unlock`, which says more. */
  unlock(archive: string, options: T.UnlockOptions = {}): Unlocking {
    const path = parse(filePath, archive, 'archive');
    const { signer, memory } = this.#device('unlock');
    const { publishers } = this.#setup;
    const given = parse(unlockOptions, options);
    return new Unlocking({ ...given, path, connection: this.#connection, memory, device: signer, publishers });
  }

  /** Forgets the token and lets go of connections. What comes later begins anew. */
  close(): void {
    this.#connection.session.forget();
    this.#connection.client.transport.close();
  }

  #device(what: string): OwnDevice {
    const { device } = this.#setup;
    if (device) return device;
    throw new ModelGuardError('INVALID_ARGUMENT', `options.device: is required to ${what}`);
  }

  // The store. Its contract is that of PartStore.

  /** The server's encryption key to seal to; this device, pinned publishers and the server's keys to open with. */
  async defaults({ for: purpose, ref, signal }: S.DefaultsOptions): Promise<S.StoreDefaults> {
    if (purpose === 'sealing') {
      const { keys } = await this.#connection.freshFacts({ signal });
      return { recipients: keys.filter(({ state }) => state === 'current').map(({ key }) => key) };
    }
    const device = this.#device('load');
    await this.#meet(device, ref.name, signal);
    const verifier = this.#setup.publishers(ref.name);
    const { trust } = this.#connection;
    const leased = () => this.#held.get(label(ref));
    return {
      identities: [device.key],
      verifier,
      // Read when the small part is opened: a successor may have signed it that fetching it made known.
      get leaseKeys() {
        return trust.trusted;
      },
      get lease() {
        const held = leased();
        return held && { seen: held.seen, renewed: held.source === 'server' };
      },
    };
  }

  /** Which keys the server signs with now: from itself, else as this device remembers. */
  async #meet({ memory, leases }: OwnDevice, name: string, signal: AbortSignalLike | undefined): Promise<void> {
    const connection = this.#connection;
    const before = await memory.before(signal);
    if (connection.trust.server === undefined) {
      await connection.facts({ signal }).catch((error: unknown) => {
        const { unserved } = leases.kept(before, name);
        throw unserved && isUnavailable(error) ? unserved(error) : error;
      });
      return;
    }
    try {
      await shortly(connection, signal, (limited) => connection.facts({ signal: limited, brief: true }));
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      leases.noteAway(error, (await connection.clock()).wall);
    }
  }

  /** A lease of it, for this device. */
  async getSmall(ref: S.ModelRef, { signal }: S.StoreOptions = {}): Promise<Uint8Array> {
    const wanted = checkedRef(ref);
    const held = await this.#device('load').leases.use(wanted, signal);
    this.#held.set(label(wanted), held);
    return held.grant.small.slice();
  }

  /** By the address that came with the lease. */
  async openBig(ref: S.ModelRef, name: string, { signal }: S.StoreOptions = {}): Promise<S.OpenBigPart> {
    const wanted = checkedRef(ref);
    checkedBigName(name);
    const { leases } = this.#device('load');
    const renew = async (until: AbortSignalLike | undefined): Promise<BigFacts> => {
      const held = await leases.use(wanted, until);
      // The server was asked once, for a short time: a read in the middle of a part asks again.
      if (held.source === 'kept')
        throw withRetryHint(notReached(wanted, held.away), { effect: 'undone', after: retryHintOf(held.away)?.after });
      this.#held.set(label(wanted), held);
      return held.grant.big;
    };
    const known = this.#held.get(label(wanted))?.grant.big;
    const big = known?.name === name ? known : await renew(signal);
    if (big.name !== name) throw new ModelGuardError('NOT_FOUND', `The server has no big part ${name} of ${label(wanted)}`);
    const { client } = this.#connection;
    const { timeoutMs } = client.transport;
    const { now, timers, rangeBytes } = this.#setup;
    return rangedPart(new RemoteBigPart({ client, big, renew, now }), { pace: client.pace, timers, rangeBytes, timeoutMs });
  }

  /** Uploads it in a stream, or in pieces straight to the server's storage. */
  async putBig(ref: S.ModelRef, name: string, source: S.BigPartSource, options: S.StoreOptions = {}): Promise<void> {
    await uploadBig(this.#connection, ref, name, source, options, this.#setup.now);
  }
  /** Tells the server to forget an upload that will not go on. */
  async abandonBig(_ref: S.ModelRef, _name: string, notes: string, options: S.StoreOptions = {}): Promise<void> {
    await abandonBig(this.#connection, notes, options);
  }
  /** Publishes; says whether it is released or waits for a decision. */
  async putSmall(
    ref: S.ModelRef,
    bytes: Uint8Array,
    options: S.StoreOptions & { readonly ifAbsent?: boolean | undefined } = {},
  ): Promise<S.Published> {
    return await publishSmall(this.#connection, ref, bytes, options);
  }
  /** Such a version, in whatever state, if there is one. */
  async published(ref: S.ModelRef, options: S.StoreOptions = {}): Promise<S.Standing | undefined> {
    return await standingOf(this.#connection, ref, options);
  }
  /** The newest released version, by the server's signed word; without the server, that of the kept lease. */
  async latest(name: string, { signal }: S.StoreOptions = {}): Promise<S.ModelRef> {
    return await latestOf(this.#connection, this.#setup.device, name, signal);
  }
  /** Released versions. */
  async *list({ signal }: S.StoreOptions = {}): AsyncGenerator<S.ModelRef, void, undefined> {
    for await (const { name, version } of this.models.list({ state: 'released', signal })) yield { name, version };
  }
  /** Nothing: the server collects by itself. */
  async collect(_options: S.CollectOptions = {}): Promise<readonly string[]> {
    return [];
  }
}

const notReached = (ref: S.ModelRef, cause: ModelGuardError | undefined): ModelGuardError =>
  new ModelGuardError('SERVER_UNREACHABLE', `The big part of ${label(ref)} is at the server, which was not reached`, { cause });
