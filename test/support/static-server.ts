/** A web server on loopback that hands out the files of a folder, whole and in ranges. */
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

export interface StaticServer {
  readonly url: string;
  /** Bytes of all bodies so far. */
  sent(): number;
  close(): Promise<void>;
}

export async function startStaticServer(folder: string): Promise<StaticServer> {
  let sent = 0;
  const server = createServer(({ url = '/', headers }, response) => {
    void answer(response, path.join(folder, new URL(url, 'http://files').pathname), headers.range, (bytes) => {
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

/** In pieces, so that a file may be larger than memory. */
async function answer(
  response: ServerResponse,
  file: string,
  range: string | undefined,
  count: (bytes: number) => void,
): Promise<void> {
  const handle = await open(file).catch(() => undefined);
  const found = await handle?.stat({ bigint: true });
  if (!handle || !found?.isFile()) {
    await handle?.close();
    response.writeHead(404).end();
    return;
  }
  const size = Number(found.size);
  const [, first, last] = /^bytes=([0-9]+)-([0-9]+)$/.exec(range ?? '') ?? [];
  const start = Number(first ?? 0);
  const end = Math.min(Number(last ?? size), size - 1);
  const label = first === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${size}` };
  const length = Math.max(0, end + 1 - start);
  const etag = `"${found.ino}-${found.mtimeNs}-${size}"`;
  count(length);
  response.writeHead(first === undefined ? 200 : 206, { etag, 'content-length': length, ...label });
  // A client that leaves early is no fault of the server.
  await pipeline(length > 0 ? handle.createReadStream({ start, end }) : [], response).catch(() => undefined);
  await handle.close();
}
