/** Limits connections: all together below the descriptor limit, and those of one network. */
import { readFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { ModelGuardError } from '@org/model-guard/server-kit';
import type { Logger } from 'pino';
import { networkOf, oneProxy } from '../base/addresses.js';
import type { Config } from '../base/config.js';

/** Connections where the descriptor limit allows more: each takes memory, too. */
const MOST = 4096;
/** Descriptors for the database, logs, the bucket and files of the runtime. */
const RESERVED_DESCRIPTORS = 64;
/** Descriptors of a connection and of the part that it sends or fetches. */
const DESCRIPTORS_EACH = 2;
/** Milliseconds until the first byte of a connection: clients send as soon as they are connected. */
const FIRST_BYTE_MS = 5_000;
/** Pause between two records of the log about refused connections. */
const QUIET_MS = 60_000;

/** The soft limit of open files of this process; undefined where the system does not report one. */
export async function descriptorLimit(file = '/proc/self/limits'): Promise<number | undefined> {
  const text = await readFile(file, 'latin1').catch(() => '');
  const soft = /^Max open files +(\d+)/m.exec(text)?.[1];
  return soft === undefined ? undefined : Number(soft);
}

/**
 * The number of connections in all, and of one network.
 * @throws INVALID_ARGUMENT where `--max-connections` exceeds the descriptor limit
 */
export function connectionBounds(
  { maxConnections, networkConnections }: Pick<Config, 'maxConnections' | 'networkConnections'>,
  descriptors: number | undefined,
): { readonly most: number; readonly ofNetwork: number } {
  const room = Math.max(1, Math.floor(((descriptors ?? Number.POSITIVE_INFINITY) - RESERVED_DESCRIPTORS) / DESCRIPTORS_EACH));
  if (maxConnections !== undefined && maxConnections > room)
    throw new ModelGuardError(
      'INVALID_ARGUMENT',
      `--max-connections ${maxConnections} is more than ${descriptors} open files have room for`,
      {
        advice: `Allow ${maxConnections * DESCRIPTORS_EACH + RESERVED_DESCRIPTORS} open files (ulimit -n, LimitNOFILE), or ask for ${room} connections at most.`,
      },
    );
  const most = maxConnections ?? Math.min(MOST, room);
  return { most, ofNetwork: Math.min(most, networkConnections ?? Math.max(1, Math.floor(most / 4))) };
}

/** Counts open connections and refuses those over the limits. */
export class Connections {
  readonly #most: number;
  readonly #ofNetwork: number;
  readonly #isProxy: (address: string) => boolean;
  readonly #log: Logger;
  readonly #networks = new Map<string, number>();
  #open = 0;
  #refused = 0;
  #logged = Number.NEGATIVE_INFINITY;

  private constructor(config: Config, descriptors: number | undefined, log: Logger) {
    ({ most: this.#most, ofNetwork: this.#ofNetwork } = connectionBounds(config, descriptors));
    const trusted = oneProxy(config.trustedProxies);
    this.#isProxy = trusted === false ? () => false : (address) => trusted(address, 0);
    this.#log = log;
  }

  /** @throws INVALID_ARGUMENT, see {@link connectionBounds} */
  static async open(config: Config, log: Logger): Promise<Connections> {
    return new Connections(config, await descriptorLimit(), log);
  }

  /** Counts the connections of a listener; several listeners are counted together. */
  watch(server: Server): Server {
    // Before the TLS handshake.
    return server.prependListener('connection', (socket: Socket) => this.#admit(socket));
  }

  #admit(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    // A proxy carries many clients, and limits them itself.
    const network = this.#isProxy(address) ? undefined : networkOf(address);
    const ofNetwork = network === undefined ? 0 : (this.#networks.get(network) ?? 0);
    if (this.#open >= this.#most || ofNetwork >= this.#ofNetwork) {
      socket.destroy();
      this.#noteRefusal();
      return;
    }
    this.#count(network, 1);
    const silent = setTimeout(() => {
      if (socket.bytesRead === 0) socket.destroy();
    }, FIRST_BYTE_MS).unref();
    socket.once('close', () => {
      clearTimeout(silent);
      this.#count(network, -1);
    });
  }

  #count(network: string | undefined, change: 1 | -1): void {
    this.#open += change;
    if (network === undefined) return;
    const count = (this.#networks.get(network) ?? 0) + change;
    if (count > 0) this.#networks.set(network, count);
    else this.#networks.delete(network);
  }

  #noteRefusal(): void {
    this.#refused++;
    const now = performance.now();
    if (now - this.#logged < QUIET_MS) return;
    this.#log.warn(
      { refused: this.#refused, open: this.#open, most: this.#most, of_network: this.#ofNetwork },
      'connections were refused: see --max-connections and --network-connections',
    );
    this.#logged = now;
    this.#refused = 0;
  }
}
