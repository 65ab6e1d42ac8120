/** Collects the secrets that pass between a test server and its callers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PROOF_HEADER } from '@org/model-guard/server-kit';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import type { Tokens } from '../../src/accounts/tokens.js';
import type { KnownSecrets } from './secrets-in-logs.js';

/** Members of JSON bodies that only their receiver may know. `next` of an answer is the cursor of a page. */
const SECRET_REQUEST_FIELDS = new Set(['password', 'current', 'next', 'fragment']);
const SECRET_ANSWER_FIELDS = new Set(['fragment', 'nonce']);
/** Bytes at the end of a small part, which are ciphertext and signature; the rest is public, dates and names among it. */
const SMALL_END = 256;
const SHORTEST_SMALL = 2048;
/** Passwords that the contract would not take are made up to be refused. */
const SHORTEST_PASSWORD = 12;
const MAX_BODY = 2 ** 20;

/** Notes every token, password, proof, fragment and small part that the server is given or gives. */
export function collectSecrets({ app, tokens }: { app: FastifyInstance; tokens: Tokens }, secrets: KnownSecrets): void {
  const issue = tokens.issue.bind(tokens);
  tokens.issue = async (holder) => {
    const issued = await issue(holder);
    secrets.token('a token', issued.token);
    return issued;
  };
  overhearInjected(app, secrets);
  app.server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    noteHeaders(secrets, request.headers, request.url ?? '');
    noteAnswer(secrets, response);
  });
}

function overhearInjected(app: FastifyInstance, secrets: KnownSecrets): void {
  const inject = app.inject.bind(app) as (given: unknown) => Promise<LightMyRequestResponse>;
  app.inject = ((given: unknown) => {
    if (typeof given === 'object' && given !== null) {
      const { headers, url, payload, body = payload } = given as { [member: string]: unknown };
      noteHeaders(secrets, (headers ?? {}) as Record<string, unknown>, typeof url === 'string' ? url : '');
      noteJson(secrets, SECRET_REQUEST_FIELDS, body);
    }
    const asked = inject(given);
    asked.then(
      (answer) => noteJson(secrets, SECRET_ANSWER_FIELDS, answer.rawPayload),
      () => undefined,
    );
    return asked;
  }) as FastifyInstance['inject'];
}

function noteHeaders(secrets: KnownSecrets, headers: Readonly<Record<string, unknown>>, url: string): void {
  const { authorization, [PROOF_HEADER]: proof } = headers;
  if (typeof proof === 'string') secrets.text('a proof', proof);
  if (typeof authorization === 'string' && /^Bearer [\w-]+\.[\w-]+\.[\w-]{16,}$/.test(authorization))
    secrets.token('a token that was sent', authorization);
  noteUrl(secrets, url);
}

/** The signature of the URL of a part. */
function noteUrl(secrets: KnownSecrets, url: string): void {
  const signature = /^(?:http[^?]*)?\/parts\/.*[?&]signature=([\w-]{43})$/.exec(url)?.[1];
  if (signature !== undefined) secrets.text('the signature of a URL', signature);
}

function noteAnswer(secrets: KnownSecrets, response: ServerResponse): void {
  const end = response.end;
  response.end = function (this: ServerResponse, ...given: unknown[]) {
    const [body] = given;
    if (typeof body === 'string' || body instanceof Uint8Array) noteJson(secrets, SECRET_ANSWER_FIELDS, body);
    return Reflect.apply(end, this, given);
  } as ServerResponse['end'];
}

function noteJson(secrets: KnownSecrets, texts: ReadonlySet<string>, body: unknown): void {
  let value = body;
  if (typeof body === 'string' || body instanceof Uint8Array) {
    if (body.length > MAX_BODY) return;
    try {
      value = JSON.parse(Buffer.from(body as string).toString('utf8'));
    } catch {
      return;
    }
  }
  noteMembers(secrets, texts, value);
}

function noteMembers(secrets: KnownSecrets, texts: ReadonlySet<string>, value: unknown, depth = 0): void {
  if (typeof value !== 'object' || value === null || depth > 4) return;
  for (const [name, member] of Object.entries(value)) {
    if (typeof member !== 'string') noteMembers(secrets, texts, member, depth + 1);
    else if (name === 'token') secrets.token('a token', member);
    else if (name === 'small') noteSmall(secrets, Buffer.from(member, 'base64url'));
    else if (name === 'url' || name === 'treeUrl') noteUrl(secrets, member);
    else if (texts.has(name) && member.length >= SHORTEST_PASSWORD) secrets.text(`a ${name}`, member);
  }
}

function noteSmall(secrets: KnownSecrets, small: Buffer): void {
  if (small.length >= SHORTEST_SMALL) secrets.payload('a small part', small.subarray(-SMALL_END));
}
