/** A web server on loopback that hands out the files of a folder, whole and in ranges. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

export interface StaticServer {
  readonly url: string;
  /** Bytes of all bodies so far. */
  sent(): number;
  close(): Promise<void>;
}

export async function startStaticServer(folder: string): Promise<StaticServer> {
  let sent = 0;
  const server = createServer(({ url = '/', headers }, response) => {
    void answer(response, path.join(folder, new URL(url, 'http://files').pathname), headers.range).then((bytes) => {
      sent += bytes;
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent: () => sent,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(response: ServerResponse, file: string, range: string | undefined): Promise<number> {
  const bytes = await readFile(file).catch(() => undefined);
  if (!bytes) {
    response.writeHead(404).end();
    return 0;
  }
  const etag = `"${createHash('sha256').update(bytes).digest('hex')}"`;
  const [, from, to] = /^bytes=([0-9]+)-([0-9]+)$/.exec(range ?? '') ?? [];
  const part = from === undefined ? bytes : bytes.subarray(Number(from), Number(to) + 1);
  const label = from === undefined ? {} : { 'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}` };
  response.writeHead(from === undefined ? 200 : 206, { etag, 'content-length': part.length, ...label }).end(part);
  return part.length;
}
