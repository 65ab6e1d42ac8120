/** From options to what the client is made of. */
import { parse } from '../base/validate.js';
import { deviceIdOf } from '../contract/index.js';
import { ModelGuardError } from '../errors.js';
import type { Pace } from '../http/retry.js';
import { timers as realTimers, type Timers } from '../http/timers.js';
import { Transport } from '../http/transport.js';
import { handleOf, publicBytesOf, wrongType } from '../keys/key.js';
import { verifyingBytes } from '../keys/public.js';
import type { DeviceKey } from '../keys/secret.js';
import { encodeKey } from '../keys/text.js';
import { resolveVerifiers, type Verifier } from '../keys/verifiers.js';
import { call } from '../native/index.js';
import { type Clock, systemClock } from './clock.js';
import { Connection } from './connection.js';
import { readCredentials } from './credentials.js';
import type { EnrollingDevice } from './device/enrolment.js';
import { Leases } from './device/leases.js';
import { Memory } from './device/memory.js';
import { defaultFolder, StateFolder } from './device/state-folder.js';
import { TokenFile } from './device/token-file.js';
import { serverAddress } from './http/address.js';
import { Client } from './http/client.js';
import { publishersByName } from './options.js';
import { type LogIn, Session, type Token } from './session.js';
import { Trust } from './trust.js';
import type { CredentialsSource, GuardServerOptions } from './types.js';

const TIMEOUT_MS = 30_000;

/** Time and chance, for tests. */
export interface TestHooks {
  readonly pace?: Pace | undefined;
  readonly timers?: Timers | undefined;
  readonly clock?: Clock | undefined;
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined;
  /** Bytes of one request for a big part. */
  readonly rangeBytes?: number | undefined;
}

/** The parts of a client with a device key. */
export interface OwnDevice {
  readonly key: DeviceKey;
  readonly signer: EnrollingDevice;
  readonly memory: Memory;
  readonly leases: Leases;
}

export interface Setup {
  readonly connection: Connection;
  readonly device: OwnDevice | undefined;
  readonly now: () => number;
  readonly timers: Timers;
  readonly rangeBytes: number | undefined;
  /** The pinned publishers of a model or an archive. */
  readonly publishers: (name: string) => Verifier | undefined;
}

/** INVALID_ARGUMENT, KEY_INVALID, KEY_TYPE_WRONG */
export function setUp(
  options: GuardServerOptions,
  { pace, timers = realTimers, clock = systemClock, now = Date.now, rangeBytes }: TestHooks,
): Setup {
  const base = serverAddress(options.url);
  const pinned = encodeKey('mgs1:', verifyingBytes(options.serverKey, 'options.serverKey'));
  const publishers = pinnedPublishers(options.publishers);
  const { tls, proxy, timeoutMs = TIMEOUT_MS, patienceMs } = options;
  const transport = new Transport({ origin: base.origin, tls, proxy, timeoutMs, timers });
  const client: Client = new Client({ base, transport, pace, patienceMs, now, prove: (options) => trust.prove(options) });
  const trust = new Trust({ client, pinned, clock });
  const { device: key, state, rollback = 'refuse' } = options;
  const surroundings = { now, timers, rangeBytes };
  const connect = (tokens?: TokenFile): Connection => {
    const session = new Session({ now, logIn: logInWith(options.credentials, client, trust, tokens) });
    return new Connection(client, session, trust, clock);
  };
  if (key === undefined) return { connection: connect(), device: undefined, ...surroundings, publishers };

  const signer = signerOf(key);
  const states = state ?? defaultFolder();
  const folder = new StateFolder(states, signer.handle, signer.id);
  const connection = connect(new TokenFile({ folder: states, key: signer.handle, deviceId: signer.id, pinned, trust, now }));
  const memory = new Memory({ folder, connection, pinned, rollback });
  const leases = new Leases({ connection, memory, device: signer });
  return { connection, device: { key, signer, memory, leases }, ...surroundings, publishers };
}

function logInWith(credentials: CredentialsSource | undefined, client: Client, trust: Trust, tokens: TokenFile | undefined) {
  if (credentials === undefined) return undefined;
  return async (wanted: LogIn): Promise<Token> => {
    const body = await readCredentials(credentials);
    const logIn = async () => {
      const token = await client.call('token', { body }, { attempts: 1 });
      await trust.checkToken(token.token);
      return token;
    };
    return tokens ? await tokens.share(body.email, wanted, logIn) : await logIn();
  };
}

function signerOf(key: DeviceKey): EnrollingDevice {
  const handle = handleOf(key);
  if (!handle || call((native) => native.keyType(handle)) !== 'device') throw wrongType('options.device', 'a DeviceKey', key);
  const publicKey = key.publicKey.toString();
  return { handle, publicKey, id: deviceIdOf(publicKey) };
}

/** Checked now, so that a wrong key is not found at the first load. */
function pinnedPublishers(given: GuardServerOptions['publishers']): (name: string) => Verifier | undefined {
  if (given === undefined) return () => undefined;
  if (isVerifier(given)) {
    resolveVerifiers(given, 'options.publishers');
    return () => given;
  }
  if (typeof given !== 'object') throw new ModelGuardError('INVALID_ARGUMENT', 'options.publishers: wants keys, or keys by name');
  const byName = new Map(Object.entries(parse(publishersByName, given, 'options.publishers')));
  for (const [name, keys] of byName) resolveVerifiers(keys, `options.publishers.${name}`);
  return (name) => byName.get(name);
}

const isVerifier = (value: unknown): value is Verifier =>
  typeof value === 'string' || Array.isArray(value) || publicBytesOf(value) !== undefined;
