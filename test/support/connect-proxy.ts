/** An HTTP proxy on loopback: tunnels (CONNECT) and plain requests in absolute form. Every host that it is asked for is this machine. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

/** Answers a CONNECT in the place of the proxy. */
export type Refusal = (request: IncomingMessage, socket: Socket) => void;

export class ConnectProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Hosts and ports of tunnels, and URLs of plain requests, in the order in which they were asked for. */
  readonly asked: string[] = [];
  /** `USER:PASSWORD` that it asks for. */
  credentials: string | undefined;
  refuse: Refusal | undefined;

  private constructor() {
    this.#server = createServer((given, response) => {
      this.asked.push(given.url ?? '');
      if (!this.#admits(given)) return void response.writeHead(407).end();
      const { pathname, search, port } = new URL(given.url ?? '');
      const onward = request({
        host: '127.0.0.1',
        port,
        path: `${pathname}${search}`,
        method: given.method,
        headers: given.headers,
      });
      onward.on('response', (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      given.pipe(onward);
    });
    this.#server.on('connection', (socket) => this.#keep(socket));
    this.#server.on('connect', (given: IncomingMessage, socket: Socket) => this.#tunnel(given, socket));
  }

  static async listen(): Promise<ConnectProxy> {
    const proxy = new ConnectProxy();
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  /** Connections that are open, tunnels included. */
  get open(): number {
    return this.#sockets.size;
  }

  reset(): void {
    this.asked.length = 0;
    this.credentials = undefined;
    this.refuse = undefined;
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.reset();
    await new Promise((closed) => this.#server.close(closed));
  }

  #admits({ headers }: IncomingMessage): boolean {
    const wanted = this.credentials && `Basic ${Buffer.from(this.credentials).toString('base64')}`;
    return wanted === undefined || headers['proxy-authorization'] === wanted;
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => this.#sockets.delete(socket));
  }

  #tunnel(given: IncomingMessage, socket: Socket): void {
    this.asked.push(given.url ?? '');
    if (this.refuse) {
      // A connection that is not read does not tell that it has ended.
      socket.once('end', () => socket.destroy()).resume();
      this.refuse(given, socket);
      return;
    }
    if (!this.#admits(given)) return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    const onward = connect({ host: '127.0.0.1', port: Number(given.url?.split(':').at(-1)) }, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    this.#keep(onward);
    socket.once('close', () => onward.destroy());
    onward.once('close', () => socket.destroy());
  }
}

/** A status line for {@link ConnectProxy.refuse}. */
export const answering =
  (status: number): Refusal =>
  (_request, socket) =>
    void socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
