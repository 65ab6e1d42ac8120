/** Machines that enrol and prove, and containers that are published, for tests of whole stories. */
import { randomBytes } from 'node:crypto';
import { decrypt, encrypt, merge, SigningKey, split } from '@org/model-guard';
import {
  DeviceKey,
  decode,
  describePart,
  deviceIdOf,
  encode,
  fingerprintOf,
  PROOF_HEADER,
  proofMessage,
  type Role,
  type RouteAnswer,
  readStatement,
  type StatementBody,
  unhex,
} from '@org/model-guard/server-kit';
import type { LightMyRequestResponse } from 'fastify';
import { handleOf } from '../../../src/keys/key.js';
import type { KeyHandle } from '../../../src/native/binding.js';
import { call } from '../../../src/native/index.js';
import { findCurrentKey } from '../../src/keys/current-key.js';
import { startTestServer, type TestServer } from './server.js';

export type Grant = RouteAnswer<'takeLease'>;
const keyOf = (key: DeviceKey): KeyHandle => handleOf(key) as KeyHandle;
export const bytesOf = (body: unknown): Buffer => Buffer.from(JSON.stringify(body));
export const flipped = (text: string): string => `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}`;

/** Wrong values for a proof; every other value is the true one. */
export interface ProofOverrides {
  readonly serverId?: string;
  readonly challenge?: string;
  readonly deviceId?: string;
  /** Signed in place of the body that is sent. */
  readonly body?: unknown;
  readonly key?: DeviceKey;
}

/** The signature of a lease request or an unlock. */
export function signRequest(server: TestServer, key: DeviceKey, body: { challenge: string }, lies: ProofOverrides = {}): string {
  const message = proofMessage({
    serverId: lies.serverId ?? server.context.serverId,
    challenge: lies.challenge ?? body.challenge,
    deviceId: lies.deviceId ?? deviceIdOf(key.publicKey.toString()),
    body: bytesOf(lies.body ?? body),
  });
  return encode(call((native) => native.sign('lease-request', keyOf(lies.key ?? key), message)));
}

/** A device of the account of a role. */
export class Machine {
  readonly key = DeviceKey.generate();
  readonly publicKey = this.key.publicKey.toString();
  readonly id = deviceIdOf(this.publicKey);
  readonly fingerprint = fingerprintOf(this.publicKey);

  constructor(
    readonly server: TestServer,
    readonly role: Role = 'operator',
  ) {}

  /** For an enrolment. */
  async challenge(): Promise<RouteAnswer<'challengeDevice'>> {
    const answer = await this.server.request(this.role, 'challengeDevice', { body: { publicKey: this.publicKey } });
    if (answer.statusCode !== 200) throw new Error(answer.body);
    return answer.json();
  }

  signEnrolment(
    { challenge, nonce, serverId }: RouteAnswer<'challengeDevice'>,
    body: unknown,
    lies: ProofOverrides = {},
  ): string {
    const message = proofMessage({
      serverId: lies.serverId ?? serverId,
      challenge: lies.challenge ?? challenge,
      deviceId: lies.deviceId ?? this.id,
      body: bytesOf(lies.body ?? body),
    });
    const proof = call((native) =>
      native.proveEnrolment(keyOf(this.key), unhex(serverId), decode(challenge), decode(nonce), message),
    );
    return encode(proof);
  }

  async enrol(name = 'a bench', more: { machineIdentity?: string } = {}): Promise<LightMyRequestResponse> {
    const challenge = await this.challenge();
    const body = { name, publicKey: this.publicKey, challenge: challenge.challenge, ...more };
    const headers = { [PROOF_HEADER]: this.signEnrolment(challenge, body) };
    return this.server.request(this.role, 'enrollDevice', { body, headers });
  }

  approve(fingerprint = this.fingerprint, role: Role = 'admin'): Promise<LightMyRequestResponse> {
    return this.server.request(role, 'approveDevice', { params: { device: this.id }, body: { fingerprint } });
  }

  revoke(): Promise<LightMyRequestResponse> {
    return this.server.request('admin', 'revokeDevice', { params: { device: this.id }, body: {} });
  }

  /** Enrolled and approved. */
  static async ready(server: TestServer, role: Role = 'operator'): Promise<Machine> {
    const machine = new Machine(server, role);
    for (const answer of [await machine.enrol(), await machine.approve()])
      if (answer.statusCode >= 300) throw new Error(answer.body);
    return machine;
  }

  /** For a lease or an unlock. */
  async begin(): Promise<string> {
    return (await this.server.request(this.role, 'challengeLease', { body: {} })).json().challenge;
  }

  async take(
    asked: {
      name: string;
      version?: string;
      seconds?: number;
      challenge?: string;
      atLeast?: number;
      checkpoint?: { seq: number; head: string };
    },
    lies: ProofOverrides = {},
  ): Promise<LightMyRequestResponse> {
    const body = { device: this.id, challenge: await this.begin(), ...asked };
    const headers = { [PROOF_HEADER]: signRequest(this.server, this.key, body, lies) };
    return this.server.request(this.role, 'takeLease', { body, headers });
  }

  async unlock(name: string, lies: ProofOverrides = {}, challenge?: string): Promise<LightMyRequestResponse> {
    const body = { device: this.id, challenge: challenge ?? (await this.begin()), name };
    const headers = { [PROOF_HEADER]: signRequest(this.server, this.key, body, lies) };
    return this.server.request(this.role, 'unlockArchive', { params: { name }, body, headers });
  }

  /** The model that a lease gives, with both parts in hand. */
  async open(server: TestServer, grant: Grant, big: Uint8Array, verifier: SigningKey): Promise<Uint8Array> {
    const container = await merge(decode(grant.small), big);
    const model = await decrypt(container, {
      identities: [this.key],
      verifier: verifier.publicKey.toString(),
      leaseKeys: server.context.keys.signing.publicKey.toString(),
    });
    const bytes = model.bytes.slice();
    model.dispose();
    return bytes;
  }
}

export interface TestContainer {
  readonly name: string;
  readonly version: string;
  readonly plain: Uint8Array;
  readonly small: Uint8Array;
  readonly big: Uint8Array;
  readonly tree: Uint8Array;
  readonly bigName: string;
  readonly payloadId: string;
}

/** A container for this server, in two parts. */
export async function make(
  server: TestServer,
  {
    name = 'defects',
    version = '1',
    signer,
    recipient,
    size = 100_000,
  }: { name?: string; version?: string; signer?: SigningKey; recipient?: string; size?: number },
): Promise<TestContainer> {
  const plain = new Uint8Array(randomBytes(size));
  const container = await encrypt(plain, {
    name,
    version,
    recipients: [recipient ?? (await findCurrentKey(server.context))],
    ...(signer && { signer }),
  });
  const { small, big, tree } = await split(container);
  const { bigName, payloadId } = describePart(small);
  return { name, version, plain, small, big, tree, bigName, payloadId };
}

/** A publisher with its key, acting as a role. */
export class Publisher {
  readonly key = SigningKey.generate();

  constructor(
    readonly server: TestServer,
    readonly role: Role = 'admin',
  ) {}

  register(name = 'defects'): Promise<LightMyRequestResponse> {
    const keys = [this.key.publicKey.toString()];
    return this.server.request('admin', 'setPublishers', { params: { name }, body: { keys } });
  }

  make(what: { name?: string; version?: string; size?: number; recipient?: string } = {}): Promise<TestContainer> {
    return make(this.server, { ...what, signer: this.key });
  }

  upload({ name, version, bigName, big }: TestContainer): Promise<LightMyRequestResponse> {
    return this.server.request(this.role, 'putPart', { params: { name, version, part: bigName }, body: big });
  }

  commit(
    { name, version, small }: TestContainer,
    more: { overwrite?: boolean } = {},
    role = this.role,
  ): Promise<LightMyRequestResponse> {
    return this.server.request(role, 'publishVersion', { params: { name, version }, body: { small: encode(small), ...more } });
  }

  /** Everything, for a version that must be accepted. */
  async publish(what: { name?: string; version?: string; size?: number } = {}): Promise<TestContainer> {
    const made = await this.make(what);
    for (const answer of [await this.upload(made), await this.commit(made)])
      if (answer.statusCode >= 300) throw new Error(answer.body);
    return made;
  }
}

/** Entitles the account of a role. */
export async function entitle(
  server: TestServer,
  role: Role,
  terms: Record<string, unknown> = {},
): Promise<RouteAnswer<'createEntitlement'>> {
  const body = { name: 'defects', account: server.accounts[role].id, ...terms };
  const answer = await server.request('admin', 'createEntitlement', { body });
  if (answer.statusCode !== 201) throw new Error(answer.body);
  return answer.json();
}

/** A lease that must be granted. */
export async function takeLease(machine: Machine, asked: { version?: string; seconds?: number } = {}): Promise<Grant> {
  const answer = await machine.take({ name: 'defects', ...asked });
  if (answer.statusCode !== 201) throw new Error(answer.body);
  return answer.json();
}

/** The signed terms of a lease. */
export const termsOf = ({ context }: TestServer, { lease }: Grant): StatementBody<'lease'> =>
  readStatement('lease', lease, { trusted: [context.keys.signing.publicKey.toString()], server: context.serverId });

/** Leases as an administrator sees them. */
export const leasesOf = async (
  server: TestServer,
  query: { active?: 'true' | 'false' } = {},
): Promise<RouteAnswer<'listLeases'>['items']> =>
  (await server.request('admin', 'listLeases', { query: { limit: 100, ...query } })).json().items;

/** A name that no test has used. */
export const freshName = (kind = 'model'): string => `${kind}-${names++}`;
let names = 0;
/** The parameters of a version's routes. */
export const at = ({ name, version }: { name: string; version: string }) => ({ params: { name, version } });

/** A server, and a publisher of "defects". */
export async function startPublisher(): Promise<{ readonly server: TestServer; readonly publisher: Publisher }> {
  const server = await startTestServer();
  const publisher = new Publisher(server);
  await publisher.register();
  return { server, publisher };
}

/** The same with its version 1, and a machine of the operator's that may ask for leases. */
export async function startScene() {
  const { server, publisher } = await startPublisher();
  return { server, publisher, made: await publisher.publish(), machine: await Machine.ready(server) };
}
