/** Sends each connection to one of several servers at random, among those that run. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Random } from '../../../test/support/seed.js';

export interface Balancer {
  readonly url: string;
  /** Sends no new connection there; open connections stay. */
  leave(server: string): void;
  /** It is back. */
  enter(server: string): void;
  close(): Promise<void>;
}

/** Of servers at these URLs, all there. */
export async function makeBalancer(servers: readonly string[], random: Random): Promise<Balancer> {
  const there = new Set(servers);
  const open = new Set<Socket>();
  const listener = createServer((client) => {
    const { hostname, port } = new URL(random.pick([...there]));
    const server = connect(Number(port), hostname);
    const ends = [client, server] as const;
    for (const [one, other] of [ends, [server, client] as const]) {
      open.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    leave: (server) => void there.delete(server),
    enter: (server) => void there.add(server),
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((closed) => listener.close(closed));
    },
  };
}
