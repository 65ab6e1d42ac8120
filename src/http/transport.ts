/** One exchange over HTTP: TLS 1.3, verified; no redirects; nothing waits or grows without bound. Nothing here knows of routes. */
import { once } from 'node:events';
import http, { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { createSecureContext, rootCertificates, TLSSocket } from 'node:tls';
import { isUint8Array } from 'node:util/types';
import { type AbortSignalLike, throwIfAborted } from '../base/abort.js';
import { isModelGuardError, ModelGuardError, optionError } from '../errors.js';
import { parseAddress } from './address.js';
import { isPage } from './pages.js';
import { chosenProxy, type HttpProxy, type ProxyOption, proxyFor } from './proxy.js';
import { HttpResponse } from './response.js';
import { withRetryHint } from './retry-hints.js';
import { timers as realTimers, type Timers } from './timers.js';
import { readTls, revisionOf, type TlsSource } from './tls.js';
import { proxyRefusal, requestThrough, TUNNEL_SIGNAL, TunnelAgent } from './tunnel.js';
import { unreachable } from './unreachable.js';
import { Watch } from './watch.js';

/** A body of known size that goes out in pieces. */
export interface Upload {
  readonly size: number;
  readonly pieces: AsyncIterable<Uint8Array>;
}

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | Upload | undefined;
  readonly signal?: AbortSignalLike | undefined;
  /** Milliseconds: instead of the transport's. */
  readonly timeoutMs?: number | undefined;
  /** Bodies of any length go in or out: only silence counts, not the whole. */
  readonly long?: boolean | undefined;
  /** Called once the connection stands: the request may reach the server from then on. */
  readonly onSent?: (() => void) | undefined;
}

const MAX_SOCKETS = 16;
/** Servers close idle connections; one that is kept for less is not closed while it is taken up again. */
const KEEP_IDLE_MS = 4_000;

interface TransportOptions {
  /** The client certificate is shown to this origin alone. Other origins, which hold big parts, are also trusted under public authorities. */
  readonly origin: string;
  readonly tls?: TlsSource | undefined;
  /** Absent: as the environment says. */
  readonly proxy?: ProxyOption | undefined;
  readonly timeoutMs: number;
  /** Milliseconds in which a new connection must stand, TLS included. Default: `timeoutMs`. */
  readonly connectMs?: number | undefined;
  readonly timers?: Timers | undefined;
}

export class Transport {
  readonly #options: TransportOptions;
  readonly #plain = new http.Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, timeout: KEEP_IDLE_MS });
  /** For the server itself and for everywhere else, each directly and by proxy. */
  readonly #secure = new Map<string, Promise<SecureAgent>>();
  readonly #proxy: HttpProxy | false | undefined;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#proxy = chosenProxy(options.proxy);
  }

  get timeoutMs(): number {
    return this.#options.timeoutMs;
  }

  async #agent(url: URL, proxy: HttpProxy | undefined): Promise<http.Agent> {
    if (url.protocol === 'http:') return this.#plain;
    const own = url.origin === this.#options.origin;
    const kind = `${own} ${proxy ?? ''}`;
    const current = this.#current({ own, proxy }, this.#secure.get(kind));
    this.#secure.set(kind, current);
    try {
      return (await current).agent;
    } catch (error) {
      if (this.#secure.get(kind) === current) this.#secure.delete(kind);
      throw error;
    }
  }

  /**
   * The agent that was used before, unless the certificate's files have changed. New files that cannot be used, as a certificate
   * whose key is not written yet, are tried again at the next request; until then the old ones serve.
   */
  async #current({ own, proxy }: AgentKind, before: Promise<SecureAgent> | undefined): Promise<SecureAgent> {
    const known = await before?.catch(() => undefined);
    const { tls } = this.#options;
    const source = own ? tls : { ca: tls?.ca };
    const revision = await revisionOf(source);
    if (known?.revision === revision) return known;
    try {
      // The old agent's connections finish what they do, and close once they are idle.
      return { revision, agent: await makeAgent(source, { own, proxy }) };
    } catch (error) {
      if (known) return known;
      throw error;
    }
  }

  /** The answer, whatever its status; its body is read or discarded by the caller. SERVER_UNREACHABLE, TIMED_OUT, RESPONSE_INVALID */
  async send({ method, url, headers, body, signal, timeoutMs, long, onSent }: HttpRequest): Promise<HttpResponse> {
    throwIfAborted(signal);
    const proxy = proxyFor(url, this.#proxy);
    const agent = await this.#agent(url, proxy);
    const silence = timeoutMs ?? this.#options.timeoutMs;
    const where = proxy ? `${url.origin}, through the proxy ${proxy},` : url.origin;
    const { timers = realTimers, connectMs } = this.#options;
    const watch = new Watch({ signal, silence, deadline: long ? undefined : silence, timers, where });
    try {
      const size = isUint8Array(body) ? body.length : body?.size;
      const request = ask(url, proxy, watch, {
        method,
        agent,
        headers: {
          'accept-encoding': 'identity',
          ...headers,
          ...(size !== undefined && { 'content-length': String(size) }),
        },
      });
      watch.over(request);
      if (onSent) request.once('socket', (socket) => whenConnected(socket, onSent));
      // From here on: the wait for a free socket of the agent does not count.
      if (connectMs !== undefined) request.once('socket', (socket) => whenConnected(socket, watch.limitConnecting(connectMs)));
      const message = await this.#exchange(request, body, watch);
      watch.over(message);
      if (proxy && message.statusCode === 407 && url.protocol === 'http:') throw proxyRefusal(proxy, url.host, 407);
      refuseStrange(message, url);
      return new HttpResponse(message, request, watch, where);
    } catch (error) {
      const told = watch.reason ?? (error instanceof SourceFailure ? error.error : unreachable(error, where));
      watch.stop(isModelGuardError(told) ? told : new ModelGuardError('IO_FAILED', 'The source of an upload failed'));
      watch.end();
      throw told;
    }
  }

  async #exchange(request: ClientRequest, body: HttpRequest['body'], watch: Watch): Promise<IncomingMessage> {
    const answered = once(request, 'response').then(([message]) => message as IncomingMessage);
    // It may fail while the body is still on its way; a later wait for it fails too.
    answered.catch(() => undefined);
    if (body === undefined || isUint8Array(body)) request.end(body);
    else await upload(request, body, watch);
    return watch.wait(answered);
  }

  /** Lets go of kept connections. */
  close(): void {
    this.#plain.destroy();
    for (const made of this.#secure.values()) made.then(({ agent }) => agent.destroy()).catch(() => undefined);
    this.#secure.clear();
  }
}

/** Begins a request, directly or through a proxy. A tunnel that is not made yet ends with the watch. */
function ask(url: URL, proxy: HttpProxy | undefined, watch: Watch, options: https.RequestOptions): ClientRequest {
  if (url.protocol === 'http:') return proxy ? requestThrough(proxy, url, options) : http.request(url, options);
  if (!proxy) return https.request(url, options);
  const tunnel = new AbortController();
  watch.over({ destroy: (error) => tunnel.abort(error), on: () => undefined });
  return https.request(url, Object.assign(options, { [TUNNEL_SIGNAL]: tunnel.signal }));
}

interface AgentKind {
  /** For the server itself, not for everywhere else. */
  readonly own: boolean;
  readonly proxy: HttpProxy | undefined;
}
interface SecureAgent {
  readonly agent: https.Agent;
  /** Of the certificate's files, as the agent uses them. */
  readonly revision: string;
}

async function makeAgent(source: TlsSource | undefined, { own, proxy }: AgentKind): Promise<https.Agent> {
  const { ca, ...certificate } = await readTls(source);
  const options = {
    ...certificate,
    ...(ca !== undefined && { ca: own ? ca : [...rootCertificates, ca] }),
    minVersion: 'TLSv1.3' as const,
  };
  try {
    createSecureContext(options);
  } catch (cause) {
    throw optionError('INVALID_ARGUMENT', 'options.tls', 'these certificates and this key cannot be used', {
      cause,
      advice: 'Give PEM; the key belongs to the first certificate.',
    });
  }
  const settings = {
    ...options,
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    timeout: KEEP_IDLE_MS,
    // Said here, so that no variable of the environment can say otherwise.
    rejectUnauthorized: true,
  };
  return proxy ? new TunnelAgent(proxy, settings) : new https.Agent(settings);
}

/** A connection that was kept, or handed over by a proxy, stands already. */
function whenConnected(socket: Socket, tell: () => void): void {
  const secure = socket instanceof TLSSocket;
  if (secure ? socket.authorized : !socket.connecting) tell();
  else socket.once(secure ? 'secureConnect' : 'connect', tell);
}

/** An error of an upload's source, to tell it from one of the network. */
class SourceFailure {
  constructor(readonly error: unknown) {}
}

async function* fromSource(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* pieces;
  } catch (error) {
    throw new SourceFailure(error);
  }
}

/** A source that fails fails the request; a server that answers early is listened to. */
async function upload(request: ClientRequest, { size, pieces }: Upload, watch: Watch): Promise<void> {
  let early = false;
  request.once('response', () => {
    early = true;
  });
  let sent = 0;
  for await (const piece of fromSource(pieces)) {
    if (early || watch.reason || request.destroyed) break;
    sent += piece.length;
    if (sent > size) break;
    if (!request.write(piece)) await watch.wait(room(request));
  }
  if (watch.reason) throw watch.reason;
  // The wait for the answer reports a connection that broke.
  if (early || request.destroyed) return;
  if (sent !== size) throw new ModelGuardError('IO_FAILED', `What was to be uploaded is not ${size} bytes long`);
  request.end();
}

/** Until more can be written, or nothing more is wanted. */
const room = (request: ClientRequest): Promise<void> =>
  new Promise((resolve) => {
    const events = ['drain', 'response', 'close'] as const;
    const over = (): void => {
      for (const event of events) request.off(event, over);
      resolve();
    };
    for (const event of events) request.on(event, over);
  });

function refuseStrange({ statusCode = 0, headers }: IncomingMessage, url: URL): void {
  const where = url.origin;
  if (statusCode >= 300 && statusCode < 400)
    throw maybePassing(
      new ModelGuardError('RESPONSE_INVALID', `${where} answers with a redirect (${statusCode}), and none is followed`, {
        advice: `Give the address that answers itself${elsewhere(headers.location, url)}, or have what stands there answer without a redirect.`,
      }),
      ELSEWHERE_NOW.has(statusCode),
    );
  if (statusCode < 300 && isCompressed(headers))
    throw maybePassing(
      new ModelGuardError('RESPONSE_INVALID', `${where} compressed an answer that was to be plain`, {
        advice: 'Have it, or what stands before it, send these files as they are (Cache-Control: no-transform).',
      }),
      isPage({ status: statusCode, headers }),
    );
}

/** Temporary redirects: to a page about maintenance, or to the log-in page of a network. */
const ELSEWHERE_NOW = new Set([302, 303, 307]);
const maybePassing = (error: ModelGuardError, passing: boolean): ModelGuardError =>
  passing ? withRetryHint(error, { effect: 'unknown' }) : error;

/** No more of it than the origin: the rest may hold a signature. */
function elsewhere(location: string | undefined, from: URL): string {
  const to = location === undefined ? undefined : parseAddress(location, from);
  return to === undefined || to.origin === from.origin || to.origin === 'null' ? '' : ` (it leads to ${to.origin})`;
}

/** Codings that change the bytes. Others, such as `identity`, `none` or `aws-chunked` without chunks, only say that they do not. */
const COMPRESSIONS = new Set(['gzip', 'x-gzip', 'deflate', 'br', 'zstd', 'compress', 'x-compress', 'dcb', 'dcz']);
const isCompressed = ({ 'content-encoding': codings = '' }: IncomingHttpHeaders): boolean =>
  codings.split(',').some((coding) => COMPRESSIONS.has(coding.trim().toLowerCase()));
