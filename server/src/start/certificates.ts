/**
 * Keeps the certificates of the TLS listener: reads them at the start, and again when their files have changed, so that a renewal
 * needs no restart.
 */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import { createSecureContext, type SecureContextOptions, type TLSSocket } from 'node:tls';
import { MAX_PEM, ModelGuardError, readAtMost } from '@org/model-guard/server-kit';
import type { Logger } from 'pino';
import type { TlsFiles } from '../base/config.js';

/**
 * Milliseconds between two comparisons of the files. A list of revoked certificates takes effect within this time, or at once
 * with SIGHUP.
 */
const CHECK_MS = 60_000;
const CRL = /-----BEGIN X509 CRL-----[\s\S]+?-----END X509 CRL-----/g;

interface LoadedFiles {
  readonly options: SecureContextOptions;
  /** Digest of all files. */
  readonly digest: string;
  /** Digest of the files that decide which clients may connect. */
  readonly clients: string;
}

export class Certificates {
  readonly #files: TlsFiles;
  readonly #log: Logger;
  #loaded: LoadedFiles;
  #server: SecureServer | undefined;
  /** The reason why the last check changed nothing; each reason is logged once. */
  #failure: string | undefined;
  readonly #connections = new Set<TLSSocket>();
  /** Connections from before a change of the rules for clients: they end with the response that is in progress. */
  readonly #outdated = new WeakSet<TLSSocket>();
  readonly #responses = new WeakMap<TLSSocket, number>();

  private constructor(files: TlsFiles, log: Logger, loaded: LoadedFiles) {
    this.#files = files;
    this.#log = log;
    this.#loaded = loaded;
  }

  /** @throws NOT_FOUND for a file that cannot be read, INVALID_ARGUMENT for contents that TLS refuses */
  static async read(files: TlsFiles, log: Logger): Promise<Certificates> {
    return new Certificates(files, log, await load(files));
  }

  /** The options of a new listener. */
  get options() {
    const { clientAuthority } = this.#files;
    return {
      ...this.#loaded.options,
      ...(clientAuthority !== undefined && { requestCert: true, rejectUnauthorized: true }),
    };
  }

  /** Keeps a listener's certificates up to date until it closes. */
  attach(server: SecureServer): void {
    this.#server = server;
    server.on('secureConnection', (socket) => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
    });
    server.on('request', (request, response) => this.#count(request, response));
    const timer = setInterval(() => void this.reload(), CHECK_MS).unref();
    server.once('close', () => clearInterval(timer));
  }

  /**
   * Reads the files again. Files that cannot be used, or a key that does not fit the certificate, are logged and change nothing.
   */
  async reload(): Promise<void> {
    try {
      const loaded = await load(this.#files);
      this.#failure = undefined;
      if (loaded.digest === this.#loaded.digest) return;
      this.#server?.setSecureContext(loaded.options);
      const rules = loaded.clients !== this.#loaded.clients;
      this.#loaded = loaded;
      if (rules) this.#endConnections();
      this.#log.info('certificates were read again');
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#failure) this.#log.error({ err: error }, 'certificates could not be read again: the old ones stay');
      this.#failure = message;
    }
  }

  #count({ socket: plain }: IncomingMessage, response: ServerResponse): void {
    const socket = plain as TLSSocket;
    this.#responses.set(socket, (this.#responses.get(socket) ?? 0) + 1);
    response.once('close', () => {
      const left = (this.#responses.get(socket) ?? 1) - 1;
      this.#responses.set(socket, left);
      if (left === 0 && this.#outdated.has(socket)) socket.destroySoon();
    });
  }

  #endConnections(): void {
    for (const socket of this.#connections) {
      this.#outdated.add(socket);
      if (!this.#responses.get(socket)) socket.destroySoon();
    }
  }
}

async function load({ certificate, key, clientAuthority, revoked }: TlsFiles): Promise<LoadedFiles> {
  const cert = await read('--tls-cert', certificate);
  const secret = await read('--tls-key', key);
  const ca = clientAuthority === undefined ? undefined : await read('--client-ca', clientAuthority);
  const crl = revoked === undefined ? undefined : await read('--client-crl', revoked);
  // Node reads one list from each text.
  const lists = crl?.toString('latin1').match(CRL);
  if (crl && !lists)
    throw new ModelGuardError(
      'INVALID_ARGUMENT',
      `--client-crl: ${revoked} holds no list of revoked certificates (PEM, X509 CRL)`,
    );
  taken('--tls-cert', `${certificate} holds no certificate (PEM)`, () => createSecureContext({ cert }));
  taken('--tls-key', `${key} holds no private key without a passphrase (PEM)`, () => createPrivateKey(secret));
  taken('--tls-key', `${key} does not belong to the first certificate of ${certificate} (--tls-cert)`, () =>
    createSecureContext({ cert, key: secret }),
  );
  // A context silently accepts an authority that is no certificate, and then no client.
  if (ca) taken('--client-ca', `${clientAuthority} holds no certificate (PEM)`, () => new X509Certificate(ca));
  const options: SecureContextOptions = {
    cert,
    key: secret,
    minVersion: 'TLSv1.3',
    ...(ca && { ca }),
    ...(lists && { crl: [...lists] }),
  };
  taken('--client-crl', `TLS does not take ${revoked}, or not beside the other files`, () => createSecureContext(options));
  const clients = digestOf(ca, crl);
  return { options, clients, digest: digestOf(cert, secret, Buffer.from(clients)) };
}

/** @throws INVALID_ARGUMENT where the file of `flag` does not pass */
function taken(flag: string, what: string, check: () => unknown): void {
  try {
    check();
  } catch (cause) {
    throw new ModelGuardError('INVALID_ARGUMENT', `${flag}: ${what}`, { cause, advice: `Give another file (${flag}).` });
  }
}

async function read(flag: string, path: string): Promise<Buffer> {
  try {
    return Buffer.from(await readAtMost(path, MAX_PEM));
  } catch (cause) {
    throw new ModelGuardError('NOT_FOUND', `${flag}: could not read ${path}`, {
      cause,
      advice: 'Give a file that is there, and that this user may read.',
    });
  }
}

const digestOf = (...contents: readonly (Buffer | undefined)[]): string => {
  const hash = createHash('sha256');
  for (const content of contents) hash.update(`${content?.length ?? -1}:`).update(content ?? '');
  return hash.digest('hex');
};
