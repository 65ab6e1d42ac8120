/** Routes of the contract, called: what is asked and what is answered are both checked. */
import type { z } from 'zod';
import type { AbortSignalLike } from '../../base/abort.js';
import { ErrorFact } from '../../base/error-fact.js';
import { parse } from '../../base/validate.js';
import { type Route, type RouteAnswer, type RouteName, type RouteRequest, routes } from '../../contract/index.js';
import { hasCode, isError, isModelGuardError, ModelGuardError } from '../../errors.js';
import type { HttpResponse } from '../../http/response.js';
import { PATIENCE_MS, type Pace, pace, withRetries } from '../../http/retry.js';
import { retryHintOf, withRetryHint } from '../../http/retry-hints.js';
import type { HttpRequest, Transport, Upload } from '../../http/transport.js';
import { routeAddress } from './address.js';
import { failureOf, isAnswer, isJson } from './failures.js';
import { fromServer } from './intermediary.js';

/** The request may change something, may have arrived, and got no answer of the server's own. */
const unanswered = new ErrorFact<true>('unanswered');

/** The change may have been made although the request failed with `error`. */
export const mayBeDone = (error: unknown): error is ModelGuardError => isModelGuardError(error) && unanswered.get(error) === true;

/** The server, or a proxy before it, did nothing. */
const isRefusal = (error: unknown): boolean =>
  isAnswer(error) || hasCode(error, 'LIMIT_EXCEEDED') || retryHintOf(error)?.effect === 'undone';

/** Where a route says nothing else. */
const MAX_ANSWER = 64 * 1024;

/** Routes that answer with a stream or with text have no shape. */
type StreamRoute = Extract<RouteName, 'readPart' | 'readTree' | 'exportAudit' | 'metrics'>;
type UploadRoute = 'putPart';
export type JsonRoute = Exclude<RouteName, StreamRoute | UploadRoute>;

export interface CallOptions {
  readonly signal?: AbortSignalLike | undefined;
  readonly token?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** The body as it is signed; it must be the JSON of the request's body. */
  readonly signed?: Uint8Array | undefined;
  readonly timeoutMs?: number | undefined;
  /** The caller asks again by itself, or not at all. */
  readonly attempts?: 1 | undefined;
}

export interface ClientOptions {
  readonly base: URL;
  readonly transport: Transport;
  /** Rejects unless the server proves that it has the pinned key. Awaited before a secret is sent. */
  readonly prove: (options: CallOptions) => Promise<unknown>;
  readonly pace?: Pace | undefined;
  /** How long announced pauses are waited for, in all, in one call. */
  readonly patienceMs?: number | undefined;
  readonly now?: (() => number) | undefined;
}

export class Client {
  readonly base: URL;
  readonly transport: Transport;
  readonly pace: Pace;
  readonly patienceMs: number;
  readonly #prove: ClientOptions['prove'];
  readonly #now: () => number;
  #proved = false;

  constructor({ base, transport, prove, pace: given = pace, patienceMs = PATIENCE_MS, now = Date.now }: ClientOptions) {
    this.base = base;
    this.transport = transport;
    this.#prove = prove;
    this.pace = given;
    this.patienceMs = patienceMs;
    this.#now = now;
  }

  /** A route that answers JSON or nothing. GET is asked again after failures, others only where the server did nothing. */
  async call<Name extends JsonRoute>(
    name: Name,
    request: RouteRequest<Name>,
    options: CallOptions = {},
  ): Promise<RouteAnswer<Name>> {
    const route: Route = routes[name];
    const { url, body } = this.#prepared(route, request);
    const bytes = options.signed ?? (body === undefined ? undefined : Buffer.from(JSON.stringify(body)));
    const { signal, attempts } = options;
    const patience = attempts === 1 ? 0 : this.patienceMs;
    return await withRetries({ pace: this.pace, repeatable: route.method === 'GET', signal, attempts, patience }, async () => {
      const json = bytes && { 'content-type': 'application/json' };
      let sent = false;
      const onSent = (): void => {
        sent = true;
      };
      try {
        const answer = await this.#send(route, url, options, { body: bytes, headers: { ...json }, onSent });
        return (await this.#read(route, answer)) as RouteAnswer<Name>;
      } catch (error) {
        if (sent && route.method !== 'GET' && !isRefusal(error)) unanswered.set(error as Error, true);
        throw error;
      }
    });
  }

  /** A route that answers with a stream, which the caller reads to its end or discards. Not asked again. */
  async open<Name extends StreamRoute>(
    name: Name,
    request: RouteRequest<Name>,
    options: CallOptions = {},
  ): Promise<HttpResponse> {
    const route: Route = routes[name];
    const { url } = this.#prepared(route, request);
    const answer = await this.#send(route, url, options, { long: true });
    await fromServer(() => this.#expect(route, answer));
    return answer;
  }

  /** A route that takes a stream. `pieces` is called for every attempt; what streams only once is sent only once. */
  async upload<Name extends UploadRoute>(
    name: Name,
    { params }: Pick<RouteRequest<Name>, 'params'>,
    { size, pieces, again }: { readonly size: number; readonly pieces: () => Upload['pieces']; readonly again: boolean },
    options: CallOptions = {},
  ): Promise<void> {
    const route: Route = routes[name];
    const { url } = this.#prepared(route, { params });
    const headers = { 'content-type': 'application/octet-stream' };
    const { signal } = options;
    const bounds = again ? { patience: this.patienceMs } : { attempts: 1 };
    await withRetries({ pace: this.pace, repeatable: again, signal, ...bounds }, async (attempt) => {
      const answer = await this.#send(route, url, options, {
        headers,
        body: { size, pieces: pieces() },
        long: true,
      });
      try {
        await this.#read(route, answer);
      } catch (error) {
        // The part's name is used once, ever: it is there because an earlier attempt arrived.
        if (attempt > 1 && hasCode(error, 'ALREADY_EXISTS')) return;
        throw error;
      }
    });
  }

  #prepared(route: Route, { params, query, body }: { params?: unknown; query?: unknown; body?: unknown }) {
    const checkedParams = route.params && parse(route.params, params, 'params');
    const checkedQuery = route.query && parse(route.query, query ?? {}, 'query');
    const shape = route.body;
    return {
      url: routeAddress(this.base, route.path, checkedParams, checkedQuery),
      body: shape === undefined || shape === 'octets' ? undefined : parse(shape, body ?? {}, 'body'),
    };
  }

  async #send(
    route: Route,
    url: URL,
    { signal, token, headers, timeoutMs }: CallOptions,
    more: Partial<HttpRequest>,
  ): Promise<HttpResponse> {
    if (route.secretBody || (token !== undefined && !this.#proved)) await this.#demandProof(signal);
    const request = {
      method: route.method,
      url,
      signal,
      timeoutMs,
      ...more,
      headers: {
        accept: 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...more.headers,
        ...headers,
      },
    };
    return await fromServer(() => this.transport.send(request));
  }

  /** Before every password, and before the first token: this client has its tokens from the server that proved itself at the log-in. */
  async #demandProof(signal: AbortSignalLike | undefined): Promise<void> {
    try {
      await this.#prove({ signal, attempts: 1 });
    } catch (error) {
      const hint = retryHintOf(error);
      // The request itself was not sent.
      throw isError(error) && hint ? withRetryHint(error, { ...hint, effect: 'undone' }) : error;
    }
    this.#proved = true;
  }

  async #expect(route: Route, answer: HttpResponse): Promise<void> {
    if (answer.status === route.status) return;
    if (answer.status < 300) {
      answer.discard();
      throw invalid(`status ${answer.status} where ${route.status} was to come`);
    }
    throw await failureOf(answer, this.#now());
  }

  #read(route: Route, answer: HttpResponse): Promise<unknown> {
    return fromServer(async () => {
      await this.#expect(route, answer);
      const bytes = await answer.bytes(route.maxAnswer ?? MAX_ANSWER);
      if (route.response === undefined || typeof route.response === 'string') return undefined;
      if (!isJson(answer)) throw invalid('something that is not JSON');
      return checked(route.response, bytes);
    });
  }
}

function checked(shape: z.ZodType, bytes: Uint8Array): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // The text stays out of the error: it may hold secrets.
    throw invalid('something that is not JSON');
  }
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  const path = result.error.issues[0]?.path.map(String).join('.') ?? '';
  throw invalid(`something else than the contract says${path && ` at ${path}`}`);
}

const invalid = (what: string): ModelGuardError =>
  new ModelGuardError('RESPONSE_INVALID', `The server, or what stands before it, answers with ${what}`);
