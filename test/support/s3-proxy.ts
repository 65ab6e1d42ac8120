/** Stands between a client and an S3 server: tells what passes, and lets a test act at every step. */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Kind = 'begin' | 'piece' | 'complete' | 'tree' | 'small' | 'other';
/** Before any byte of it is passed on; with the first bytes of its body; when the server has done it; when the client was told. */
export type Step = 'arrives' | 'passes' | 'done' | 'answered';

export interface Passing {
  readonly kind: Kind;
  readonly path: string;
  /** Of a piece. */
  readonly upload: string;
  readonly number: number;
  /** Of the body, as far as it passed. */
  bytes: number;
  /** The server's answer; 0 until it came. */
  status: number;
}

/** What a step waits for. */
export type Watch = (step: Step, passing: Passing) => Promise<unknown> | undefined;

export class S3Proxy {
  readonly #server: Server;
  readonly #target: URL;
  readonly #underWay = new Set<Promise<void>>();
  watch: Watch = () => undefined;

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((req, res) => {
      // Whoever hangs up in the middle wants no answer.
      const passed = this.#pass(req, res).catch(() => void res.destroy());
      this.#underWay.add(passed);
      void passed.finally(() => this.#underWay.delete(passed));
    });
  }

  static async before(target: string): Promise<S3Proxy> {
    const proxy = new S3Proxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Until the server has nothing to do any more. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #pass(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const passing = passingOf(req);
    await this.watch('arrives', passing);
    if (req.socket.destroyed) return;
    const answer = await this.#forward(req, passing);
    const body: Buffer[] = [];
    for await (const piece of answer) body.push(piece as Buffer);
    passing.status = answer.statusCode ?? 0;
    await this.watch('done', passing);
    if (req.socket.destroyed) return;
    await new Promise<void>((resolve, reject) => {
      res.once('close', () => reject(new Error('the client is gone')));
      res.writeHead(passing.status, answer.headers).end(Buffer.concat(body), () => resolve());
    });
    await this.watch('answered', passing);
  }

  /** The signature is over the client's Host header, so that it stays. */
  #forward(req: IncomingMessage, passing: Passing): Promise<IncomingMessage> {
    const { hostname, port } = this.#target;
    return new Promise((resolve, reject) => {
      const { method = 'GET', url = '/', headers } = req;
      const onward = request({ hostname, port, method, path: url, headers, agent: false });
      onward.once('response', resolve).once('error', reject);
      req.once('error', (error) => onward.destroy(error));
      req.once('close', () => {
        if (!req.complete) onward.destroy(new Error('the client is gone'));
      });
      req.on('data', (piece: Buffer) => {
        const first = passing.bytes === 0;
        passing.bytes += piece.length;
        onward.write(piece);
        if (first) void this.watch('passes', passing);
        if (onward.writableNeedDrain) {
          req.pause();
          onward.once('drain', () => req.resume());
        }
      });
      req.once('end', () => onward.end());
    });
  }
}

function passingOf({ method, url = '/' }: IncomingMessage): Passing {
  const { pathname, searchParams } = new URL(url, 'http://proxy');
  const upload = searchParams.get('uploadId') ?? '';
  const number = Number(searchParams.get('partNumber') ?? 0);
  return { kind: kindOf(method, pathname, searchParams), path: pathname, upload, number, bytes: 0, status: 0 };
}

function kindOf(method: string | undefined, path: string, query: URLSearchParams): Kind {
  if (method === 'POST' && query.has('uploads')) return 'begin';
  if (method === 'POST' && query.has('uploadId')) return 'complete';
  if (method === 'PUT' && query.has('partNumber')) return 'piece';
  if (method === 'PUT' && path.endsWith('.tree')) return 'tree';
  return method === 'PUT' && path.includes('/small/') ? 'small' : 'other';
}
