/** Sockets: plain HTTP, TLS 1.3, and a plain listener that sends everybody to the TLS one. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Certificates } from './certificates.js';

/** Silence of a connection in the middle of a request; a body itself may take as long as it needs. */
const SILENCE_MS = 120_000;
const HEADERS_MS = 20_000;
const HANDSHAKE_MS = 10_000;
const bounds = {
  requestTimeout: 0,
  headersTimeout: HEADERS_MS,
  keepAliveTimeout: 65_000,
  // Node looks for late headers this often.
  connectionsCheckingInterval: 5_000,
};

/** How to make the listener that a configuration asks for: with certificates it speaks TLS alone. */
export function makeListener(certificates?: Certificates): (handler: RequestListener) => Server {
  return (handler) => {
    if (!certificates) return createServer(bounds, handler).setTimeout(SILENCE_MS);
    const server = createSecureServer({ ...bounds, handshakeTimeout: HANDSHAKE_MS, ...certificates.options }, handler);
    server.setTimeout(SILENCE_MS);
    certificates.attach(server);
    return server as Server;
  };
}

/** Answers every request with the same path of `publicUrl`; never with a host that the request names. */
export function makeRedirect(publicUrl: () => string): Server {
  const server = createServer(bounds, ({ url = '/' }, response) => {
    const path = url.startsWith('/') ? url : '/';
    response.writeHead(308, { location: `${publicUrl()}${path}`, connection: 'close' }).end();
  });
  return server.setTimeout(SILENCE_MS);
}
