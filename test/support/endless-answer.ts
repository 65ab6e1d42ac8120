import type { ServerResponse } from 'node:http';

/** Bytes of {@link sendEndlessly}: far more than any list has. */
const ENDLESS = 262_000_000;
const PIECE = Buffer.alloc(65_536, 'a');

/** Sends a document of S3 that no reader should read to its end. Returns the bytes that were sent so far. */
export function sendEndlessly(response: ServerResponse): () => number {
  let sent = 0;
  const more = (): void => {
    while (sent < ENDLESS && !response.destroyed && response.write(PIECE)) sent += PIECE.length;
    if (sent < ENDLESS) response.once('drain', more);
    else response.end();
  };
  response.writeHead(200, { 'content-type': 'application/xml' });
  more();
  return () => sent;
}
