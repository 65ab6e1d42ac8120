/** Sockets: plain HTTP, TLS 1.3, and a plain listener that sends everybody to the TLS one. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { MAX_PEM, ModelGuardError, readAtMost } from '@org/model-guard/server-kit';
import type { Config, TlsFiles } from './config.js';

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

/** How to make the listener that a configuration asks for. */
export async function makeListener({ tls }: Pick<Config, 'tls'>): Promise<(handler: RequestListener) => Server> {
  const files = tls && (await readTls(tls));
  return (handler) => {
    const server = files
      ? createSecureServer({ ...bounds, handshakeTimeout: HANDSHAKE_MS, ...files }, handler)
      : createServer(bounds, handler);
    server.setTimeout(SILENCE_MS);
    return server as Server;
  };
}

async function readTls({ certificate, key, clientAuthority }: TlsFiles) {
  const read = async (path: string): Promise<Buffer> => {
    try {
      return Buffer.from(await readAtMost(path, MAX_PEM));
    } catch (cause) {
      throw new ModelGuardError('NOT_FOUND', `Could not read ${path}`, { cause });
    }
  };
  return {
    cert: await read(certificate),
    key: await read(key),
    minVersion: 'TLSv1.3' as const,
    ...(clientAuthority !== undefined && { ca: await read(clientAuthority), requestCert: true, rejectUnauthorized: true }),
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
