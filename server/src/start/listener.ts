/** Makes the listeners: plain HTTP, TLS 1.3, and a plain one that redirects to the TLS one. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { ModelGuardError, systemCode } from '@org/model-guard/server-kit';
import type { Certificates } from './certificates.js';

/** Milliseconds of silence on a connection in the middle of a request; a body may take as long as it needs. */
const SILENCE_MS = 120_000;
const HEADERS_MS = 20_000;
const HANDSHAKE_MS = 10_000;
const bounds = {
  requestTimeout: 0,
  headersTimeout: HEADERS_MS,
  keepAliveTimeout: 65_000,
  // Interval at which Node checks for late headers.
  connectionsCheckingInterval: 5_000,
};

/** Returns the maker of a listener: with certificates for TLS alone, else for plain HTTP. */
export function makeListener(certificates?: Certificates): (handler: RequestListener) => Server {
  return (handler) => {
    if (!certificates) return createServer(bounds, handler).setTimeout(SILENCE_MS);
    const server = createSecureServer({ ...bounds, handshakeTimeout: HANDSHAKE_MS, ...certificates.options }, handler);
    server.setTimeout(SILENCE_MS);
    certificates.attach(server);
    return server as Server;
  };
}

/** Redirects every request to the same path of `publicUrl`, never to a host that the request names. */
export function makeRedirect(publicUrl: () => string): Server {
  const server = createServer(bounds, ({ url = '/' }, response) => {
    const path = url.startsWith('/') ? url : '/';
    response.writeHead(308, { location: `${publicUrl()}${path}`, connection: 'close' }).end();
  });
  return server.setTimeout(SILENCE_MS);
}

/** Codes for a host that is not an address of this machine. */
const NOT_HERE = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL']);

/**
 * The error to throw where `listen` fails: it names the flag to change. Errors that are not of a system call are returned
 * unchanged.
 */
export function listenFailure(cause: unknown, host: string, port: number, flag: '--port' | '--http-redirect-port'): unknown {
  if (!(cause instanceof Error && 'syscall' in cause && 'code' in cause)) return cause;
  const code = String(cause.code);
  if (code === 'EADDRINUSE')
    return new ModelGuardError('IN_USE', `Another program listens at port ${port} of ${host}`, {
      cause,
      advice: `Stop it, or give another port (${flag}).`,
    });
  if (NOT_HERE.has(code))
    return new ModelGuardError('INVALID_ARGUMENT', `This machine has no address ${host} to listen at (${code})`, {
      cause,
      advice: 'Give one of its own addresses, or 0.0.0.0 for all of them (--host).',
    });
  const advice = code === 'EACCES' ? `Ports below 1024 take a privilege: give another one (${flag}).` : undefined;
  return new ModelGuardError(systemCode(cause), `Cannot listen at port ${port} of ${host} (${code})`, { cause, advice });
}
