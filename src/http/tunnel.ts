/** Requests through a proxy: TLS from end to end within a tunnel (CONNECT), or plain HTTP in absolute form. */
import http, { type ClientRequest, type RequestOptions } from 'node:http';
import https, { type AgentOptions } from 'node:https';
import { isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ModelGuardError } from '../errors.js';
import type { HttpProxy } from './proxy.js';
import { withRetryHint } from './retry-hints.js';

/** Option of a request: ends the wait for its tunnel. Node takes its own `signal` away before it asks an agent for a connection. */
export const TUNNEL_SIGNAL = Symbol('signal of a tunnel');

type ConnectionOptions = RequestOptions & { readonly [TUNNEL_SIGNAL]?: AbortSignal };
type Connected = (error: Error | null, socket?: Duplex) => void;
/** Node's own types leave out that a connection may come later. */
type Connecting = (options: object, connected?: Connected) => Duplex | undefined;

/** Connects through a tunnel of the proxy; what goes through it is as without a proxy. */
export class TunnelAgent extends https.Agent {
  constructor(proxy: HttpProxy, options: AgentOptions) {
    super(options);
    const secure = (this as unknown as { createConnection: Connecting }).createConnection.bind(this);
    const connecting: Connecting = (given: ConnectionOptions, connected) => {
      openTunnel(proxy, given)
        .then((socket) => secure({ ...given, socket }))
        .then(
          (socket) => connected?.(null, socket),
          (error: Error) => connected?.(error),
        );
      return undefined;
    };
    Object.assign(this, { createConnection: connecting });
  }
}

function openTunnel(proxy: HttpProxy, { host, port, [TUNNEL_SIGNAL]: signal }: ConnectionOptions): Promise<Socket> {
  const authority = `${isIP(host ?? '') === 6 ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    const request = askProxy(proxy, { method: 'CONNECT', path: authority, signal, agent: false }, authority);
    request.once('connect', ({ statusCode = 0 }, socket, head) => {
      if (statusCode >= 200 && statusCode < 300) {
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
        return;
      }
      socket.destroy();
      reject(proxyRefusal(proxy, authority, statusCode));
    });
    request.once('error', (cause) => reject(proxyFailure(proxy, cause)));
    request.end();
  });
}

/** A plain request in absolute form, which the proxy makes in our place. */
export const requestThrough = (proxy: HttpProxy, url: URL, options: RequestOptions): ClientRequest =>
  askProxy(proxy, { ...options, path: url.href }, url.host);

const askProxy = (proxy: HttpProxy, options: RequestOptions, host: string): ClientRequest =>
  http.request({
    ...options,
    host: proxy.url.hostname.replace(/^\[|\]$/g, ''),
    port: proxy.url.port || 80,
    headers: { ...options.headers, ...proxy.headers, host },
  });

/** The error for a proxy that answers in the place of the server. */
export function proxyRefusal(proxy: HttpProxy, authority: string, status: number): ModelGuardError {
  if (status === 407)
    return new ModelGuardError(
      'SERVER_UNREACHABLE',
      `The proxy ${proxy} ${proxy.hasCredentials ? 'refuses the user name or the password' : 'asks for a user name and a password'} (407)`,
      { advice: `Put them into its URL, percent-encoded: http://USER:PASSWORD@HOST:PORT (${proxy.source}).` },
    );
  const what = status >= 500 ? 'could not connect' : 'refused to connect';
  const error = new ModelGuardError('SERVER_UNREACHABLE', `The proxy ${proxy} ${what} to ${authority} (${status})`, {
    advice: `Have it allowed there, or go around the proxy: NO_PROXY=${authority} (or proxy: false, --no-proxy).`,
  });
  return status >= 500 ? withRetryHint(error, { effect: 'undone' }) : error;
}

function proxyFailure(proxy: HttpProxy, cause: Error): ModelGuardError {
  const code = 'code' in cause ? ` (${cause.code})` : '';
  const error = new ModelGuardError('SERVER_UNREACHABLE', `The proxy ${proxy} was not reached${code}`, {
    cause,
    advice: `Check the address in ${proxy.source}, or go around the proxy: NO_PROXY (or proxy: false, --no-proxy).`,
  });
  return withRetryHint(error, { effect: 'undone' });
}
