/**
 * A guard server that says what it is told to say: the truth unless a test replaces an answer. It speaks the contract over real HTTP and
 * signs with keys of its own.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { type RouteName, routes, type Statement, type StatementBody, type StatementKind } from '../../src/contract/index.js';
import { encrypt, split } from '../../src/index.js';
import {
  type Checkpoint,
  DeviceKey,
  describePart,
  encode,
  encryptionKeyOf,
  hex,
  issueLease,
  SigningKey,
  signAs,
  signCheckpoint,
} from '../../src/server-kit/index.js';

export interface Asked {
  readonly name: RouteName;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly json: Record<string, unknown>;
}
export interface Reply {
  readonly status?: number;
  readonly json?: unknown;
  readonly bytes?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}
/** Answers, or takes the response into its own hands and returns nothing. */
export type Handler = (asked: Asked, response: ServerResponse) => Promise<Reply | undefined> | Reply | undefined;

export const failure = (status: number, code: string, message = 'no', headers?: Reply['headers']): Reply => ({
  status,
  json: { error: { code, message, request: 'request-1' } },
  ...(headers && { headers }),
});

const id = (): string => randomBytes(16).toString('hex');

export interface Model {
  readonly name: string;
  readonly version: string;
  readonly ordinal: number;
  readonly small: Uint8Array;
  readonly big: Uint8Array;
  readonly bigName: string;
  readonly payloadId: string;
}

export class FakeGuard {
  readonly signing = SigningKey.generate();
  readonly audit = SigningKey.generate();
  readonly encryption = DeviceKey.generate();
  readonly publisher = SigningKey.generate();
  readonly id = id();
  readonly logId = id();
  /** Seconds since 1970. */
  now = Math.floor(Date.now() / 1000);
  /** Of the audit log. */
  seq = 10;
  head = 'ab'.repeat(48);
  /** Every request that came, in order. */
  readonly asked: Asked[] = [];
  readonly replaced = new Map<RouteName, Handler>();
  readonly models = new Map<string, Model>();
  readonly #server: Server;
  #tokenKey = generateKeyPair('EdDSA', { crv: 'Ed25519' });
  url = '';

  constructor(make: (listener: (request: IncomingMessage, response: ServerResponse) => void) => Server = createServer) {
    this.#server = make((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  async listen(scheme = 'http', host = '127.0.0.1'): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `${scheme}://${host}:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  get serverKey(): string {
    return this.signing.publicKey.toString();
  }

  count(name: RouteName): number {
    return this.asked.filter((one) => one.name === name).length;
  }

  /** Replaces an answer until `restore`. */
  on(name: RouteName, handler: Handler): void {
    this.replaced.set(name, handler);
  }
  restore(): void {
    this.replaced.clear();
    this.asked.length = 0;
  }

  /** Answers so many times differently, then as usual. */
  times(count: number, name: RouteName, handler: Handler): void {
    let left = count;
    this.on(name, (asked, response) => {
      if (left-- > 0) return handler(asked, response);
      return this.usual(asked);
    });
  }

  async publish(name: string, version: string, ordinal: number, plain: Uint8Array): Promise<Model> {
    const recipients = [encryptionKeyOf(this.encryption)];
    const parts = await split(await encrypt(plain, { name, version, recipients, signer: this.publisher }));
    const { bigName, payloadId } = describePart(parts.small);
    const model = { name, version, ordinal, small: parts.small, big: parts.big, bigName, payloadId };
    this.models.set(`${name}@${version}`, model);
    return model;
  }

  say<Kind extends StatementBody<StatementKind>>(said: Kind, key = this.signing): Statement {
    return signAs(key, said as Parameters<typeof signAs>[1]);
  }

  /** The proof for the nonce of a query. */
  sayKey(query: URLSearchParams, more: Partial<StatementBody<'key'>> = {}, key = this.signing): Statement {
    return this.say({ kind: 'key', server: this.id, time: this.now, nonce: query.get('nonce') ?? '', ...more }, key);
  }

  serverStatement(more: Partial<StatementBody<'server'>> = {}): StatementBody<'server'> {
    return {
      kind: 'server',
      server: this.id,
      time: this.now,
      keys: [{ key: encryptionKeyOf(this.encryption), state: 'current' }],
      auditKey: this.audit.publicKey.toString(),
      logId: this.logId,
      tokens: 'EdDSA',
      ...more,
    };
  }

  checkpoint(more: Partial<Checkpoint> = {}, key = this.audit): Checkpoint {
    return signCheckpoint(key, { logId: this.logId, seq: this.seq, head: this.head, time: this.now, ...more });
  }

  /** The word that the log holds what a device saw. */
  history({ checkpoint }: Asked['json']): { history?: Statement } {
    if (checkpoint === undefined) return {};
    const { seq, head } = checkpoint as { seq: number; head: string };
    const said = { kind: 'history', server: this.id, time: this.now, logId: this.logId, seq, head } as const;
    return { history: this.say(said) };
  }

  /** A token by the key of this server, or by another. */
  async token(claims: { iss?: string; aud?: string; exp?: number } = {}, key?: Parameters<SignJWT['sign']>[0]): Promise<string> {
    const { privateKey } = await this.#tokenKey;
    return await new SignJWT({ role: 'operator' })
      .setProtectedHeader({ alg: 'EdDSA', kid: 'one' })
      .setIssuer(claims.iss ?? this.id)
      .setAudience(claims.aud ?? 'model-guard')
      .setSubject(id())
      .setIssuedAt(this.now)
      .setExpirationTime(claims.exp ?? this.now + 900)
      .setJti(id())
      .sign(key ?? privateKey);
  }

  async jwks(): Promise<{ keys: { kid: string; kty: string; [member: string]: unknown }[] }> {
    const { publicKey } = await this.#tokenKey;
    return { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', kty: 'OKP', alg: 'EdDSA' }] };
  }

  /** What a lease says, and the small part that says the same; either may be made to lie. */
  async grant(
    asked: { device: string; name: string; version?: string },
    publicKey: string,
    {
      said = {},
      policy = {},
      model,
      offlineSeconds = 3600,
    }: { said?: Partial<StatementBody<'lease'>>; policy?: { leaseId?: string }; model?: Model; offlineSeconds?: number } = {},
    key = this.signing,
  ): Promise<{ small: string; lease: Statement; checkpoint?: Checkpoint; big: unknown }> {
    const found = model ?? this.models.get(`${asked.name}@${asked.version}`);
    if (!found) throw new Error('no such model');
    const { name, version, ordinal, payloadId } = found;
    const lease = id();
    const times = { notBefore: this.now - 120, notAfter: this.now + 86_400, offlineUntil: this.now + offlineSeconds };
    const small = await issueLease({
      small: found.small,
      ref: { name, version },
      publishers: [this.publisher.publicKey.toString()],
      keys: [this.encryption],
      device: publicKey,
      policy: { ...times, leaseId: lease, deviceId: asked.device, ...policy },
      signing: this.signing,
    });
    const publishers = [this.publisher.publicKey.toString()];
    const common = { kind: 'lease', server: this.id, time: this.now, lease, device: asked.device } as const;
    const statement = this.say({ ...common, name, version, ordinal, payloadId, ...times, publishers, ...said }, key);
    const big = {
      name: found.bigName,
      size: found.big.length,
      url: `${this.url}/parts/${found.bigName}?expires=9&signature=x`,
      expires: this.now + 300,
    };
    return { small: encode(small), lease: statement, checkpoint: this.checkpoint(), big };
  }

  /** Public keys of devices, as if they were enrolled. */
  readonly devices = new Map<string, string>();

  /** The truth. */
  async usual({ name, params, query, json, headers }: Asked): Promise<Reply> {
    switch (name) {
      case 'token':
        return { json: { token: await this.token(), expires: this.now + 900, mustChangePassword: false } };
      case 'jwks': {
        const { keys } = await this.jwks();
        return { json: { keys, statement: this.say({ kind: 'jwks', server: this.id, time: this.now, keys }) } };
      }
      case 'serverKey':
        return { json: { statement: this.sayKey(query), succession: [] } };
      case 'server':
        return { json: { server: this.say(this.serverStatement()), succession: [] } };
      case 'challengeLease':
        return { json: { challenge: encode(randomBytes(32)), expires: this.now + 60 } };
      case 'takeLease': {
        const asked = json as unknown as { device: string; name: string; version?: string };
        if (!this.models.has(`${asked.name}@${asked.version}`)) return failure(404, 'NOT_FOUND');
        const grant = await this.grant(asked, this.devices.get(asked.device) ?? '');
        return { status: 201, json: { ...grant, ...this.history(json) } };
      }
      case 'latestVersion': {
        const versions = [...this.models.values()].filter((model) => model.name === params.name);
        const newest = versions.sort((a, b) => b.ordinal - a.ordinal)[0];
        if (!newest) return failure(404, 'NOT_FOUND');
        const { version, ordinal } = newest;
        return { json: this.say({ kind: 'latest', server: this.id, time: this.now, name: newest.name, version, ordinal }) };
      }
      case 'beginUpload':
        return { json: { kind: 'direct' } };
      case 'readPart': {
        const part = [...this.models.values()].find((model) => model.bigName === params.part);
        if (!part) return failure(404, 'NOT_FOUND');
        const [, from, to] = /^bytes=([0-9]+)-([0-9]+)$/.exec(headers.range ?? '') ?? [];
        const bytes = part.big.slice(Number(from), Number(to) + 1);
        return { status: 206, bytes, headers: { 'content-range': `bytes ${from}-${to}/${part.big.length}` } };
      }
      default:
        return failure(404, 'NOT_FOUND');
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://guard');
    const found = match(request.method ?? '', url.pathname);
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    const isJson = request.headers['content-type']?.startsWith('application/json') ?? false;
    const { headers } = request;
    const asked: Asked = { ...found, query: url.searchParams, headers, body, json: isJson ? JSON.parse(body.toString()) : {} };
    this.asked.push(asked);
    const reply = await (this.replaced.get(asked.name) ?? ((one: Asked) => this.usual(one)))(asked, response);
    if (!reply) return;
    const bytes = reply.bytes ?? (reply.json === undefined ? new Uint8Array() : Buffer.from(JSON.stringify(reply.json)));
    const type = reply.bytes ? 'application/octet-stream' : 'application/json; charset=utf-8';
    response.writeHead(reply.status ?? 200, { 'content-type': type, 'content-length': bytes.length, ...reply.headers });
    response.end(bytes);
  }
}

function match(method: string, path: string): { name: RouteName; params: Record<string, string> } {
  for (const [name, route] of Object.entries(routes)) {
    const pattern = new RegExp(`^${route.path.replace(/[.]/g, '\\.').replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`);
    const found = route.method === method ? pattern.exec(path) : null;
    if (found) return { name: name as RouteName, params: { ...found.groups } };
  }
  return { name: 'health', params: {} };
}

export const randomHex = (bytes: number): string => hex(randomBytes(bytes));
