/** The bytes that devices and servers sign (docs/server-protocol.md, sections 1 and 2), and what their keys are called. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { decode, encode, unhex } from '../base/bytes.js';
import { list } from '../base/schemas.js';
import { ModelGuardError } from '../errors.js';
import { decodeKey } from '../keys/text.js';
import type { KeyHandle } from '../native/binding.js';
import { call } from '../native/index.js';
import * as s from './shapes.js';

export const PROOF_HEADER = 'x-model-guard-proof';

const sha256 = (...parts: readonly (Uint8Array | string)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** 32 hex digits, from the public keys (`mgd1:…`). */
export const deviceIdOf = (publicKey: string): string =>
  sha256('model-guard/v1/device\0', decodeKey(publicKey, ['mgd1:']).bytes)
    .subarray(0, 16)
    .toString('hex');

/** The fingerprint of a key, for people to compare: ten groups of four hex digits. */
export function fingerprintOf(publicKey: string): string {
  const { bytes } = decodeKey(publicKey, ['mgd1:', 'mgs1:', 'mgx1:']);
  const digits = sha256('model-guard/v1/fingerprint\0', bytes).subarray(0, 20).toString('hex');
  return (digits.match(/.{4}/g) as string[]).join(' ');
}

/** The fingerprint that people compare before a client accepts a statement: ten groups of four hex digits. */
export function statementFingerprint({ payload }: Statement): string {
  const digits = sha256('model-guard/v1/statement-fingerprint\0', decode(payload)).subarray(0, 20).toString('hex');
  return (digits.match(/.{4}/g) as string[]).join(' ');
}

interface Proven {
  readonly serverId: string;
  /** base64url */
  readonly challenge: string;
  readonly deviceId: string;
  /** As sent. */
  readonly body: Uint8Array;
}

/** The message of `lease-request`, and of `enrolment` up to the nonce. */
export const proofMessage = ({ serverId, challenge, deviceId, body }: Proven): Uint8Array =>
  Buffer.concat([unhex(serverId), decode(challenge), unhex(deviceId), createHash('sha384').update(body).digest()]);

/** A JSON object that the server signed. */
export type Statement = z.output<typeof s.statement>;

const common = { server: s.id, time: s.seconds };
export const statements = {
  server: z.object({
    kind: z.literal('server'),
    ...common,
    keys: list(s.serverKey, 100).min(1),
    auditKey: s.verifyingKey,
    logId: s.id,
    tokens: z.enum(['EdDSA', 'HS256', 'off']),
  }),
  key: z.object({ kind: z.literal('key'), ...common, /** Of the caller. */ nonce: s.challenge }),
  jwks: z.object({ kind: z.literal('jwks'), ...common, keys: list(s.webKey, s.MAX_WEB_KEYS) }),
  lease: z.object({
    kind: z.literal('lease'),
    ...common,
    lease: s.id,
    device: s.id,
    name: s.modelName,
    version: s.modelName,
    ordinal: z.int().min(1),
    payloadId: s.id,
    notBefore: s.seconds,
    notAfter: s.seconds,
    offlineUntil: s.seconds,
    publishers: list(s.verifyingKey, 100),
  }),
  latest: z.object({ kind: z.literal('latest'), ...common, name: s.modelName, version: s.modelName, ordinal: z.int().min(1) }),
  succession: z.object({ kind: z.literal('succession'), ...common, next: s.verifyingKey }),
  history: z.object({ kind: z.literal('history'), ...common, logId: s.id, ...s.auditPosition.shape }),
  restored: z.object({
    kind: z.literal('restored'),
    ...common,
    logId: s.id,
    /** The newest position that was lost. */
    lost: s.auditPosition,
    /** Where the log went on. */
    checkpoint: s.checkpoint,
  }),
} as const;
/** The subject of a statement. */
export type StatementKind = keyof typeof statements;
/** The content of a statement of a kind. */
export type StatementBody<Kind extends StatementKind> = z.output<(typeof statements)[Kind]>;

const statementMessage = (kind: StatementKind, serverId: string, payload: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`${kind}\0`), unhex(serverId), payload]);

/** Signed by the server's signing key. */
export function signStatement<Kind extends StatementKind>(
  key: KeyHandle,
  publicKey: string,
  said: StatementBody<Kind>,
): Statement {
  const payload = Buffer.from(JSON.stringify(said));
  const message = statementMessage(said.kind, said.server, payload);
  return {
    payload: encode(payload),
    signature: encode(call((native) => native.sign('statement', key, message))),
    key: publicKey,
  };
}

/**
 * The content of a statement, if one of `trusted` (`mgs1:…`) signed it for this server and kind.
 * @throws SERVER_UNTRUSTED, RESPONSE_INVALID
 */
export function readStatement<Kind extends StatementKind>(
  kind: Kind,
  statement: Statement,
  { trusted, server }: { readonly trusted: readonly string[]; readonly server?: string | undefined },
): StatementBody<Kind> {
  const payload = decode(statement.payload);
  const said = parsed(statements[kind], payload);
  const signed =
    trusted.includes(statement.key) &&
    call((native) =>
      native.verifySignature(
        'statement',
        decodeKey(statement.key, ['mgs1:']).bytes,
        statementMessage(kind, said.server, payload),
        decode(statement.signature),
      ),
    );
  if (!signed || (server !== undefined && said.server !== server))
    throw new ModelGuardError(
      'SERVER_UNTRUSTED',
      `What answers does not have the signing key that is pinned for this server (its statement "${kind}")`,
    );
  return said as StatementBody<Kind>;
}

function parsed<Schema extends z.ZodType<{ server: string }>>(schema: Schema, payload: Uint8Array): z.output<Schema> {
  try {
    return schema.parse(JSON.parse(Buffer.from(payload).toString('utf8')));
  } catch (cause) {
    throw new ModelGuardError('RESPONSE_INVALID', 'The server signed something that is not a statement of this version', {
      cause,
    });
  }
}

/** A signed position of the audit log. */
export type Checkpoint = z.output<typeof s.checkpoint>;

export function checkpointMessage({ logId, seq, head, time }: Omit<Checkpoint, 'signature'>): Uint8Array {
  const numbers = Buffer.alloc(16);
  numbers.writeBigUInt64BE(BigInt(seq), 0);
  numbers.writeBigUInt64BE(BigInt(time), 8);
  return Buffer.concat([unhex(logId), numbers.subarray(0, 8), unhex(head), numbers.subarray(8)]);
}

export const checkpointVerifies = (checkpoint: Checkpoint, auditKey: string): boolean =>
  call((native) =>
    native.verifySignature(
      'checkpoint',
      decodeKey(auditKey, ['mgs1:']).bytes,
      checkpointMessage(checkpoint),
      decode(checkpoint.signature),
    ),
  );
