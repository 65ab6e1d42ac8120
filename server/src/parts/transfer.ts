/** Receives parts over HTTP, whole or not at all, and sends them, whole or in a range. */
import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { ModelGuardError } from '@org/model-guard/server-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { StoredFile } from './local-parts.js';
import type { Upload } from './parts.js';
import { parseRange } from './range.js';

/**
 * The body of a request as an upload. Where `confirm` fails after the last byte, the part is not stored.
 * @throws INVALID_ARGUMENT without a Content-Length
 */
export function uploadOf({ headers, body }: FastifyRequest, confirm: () => Promise<unknown>): Upload {
  const length = headers['content-length'];
  if (length === undefined)
    throw new ModelGuardError('INVALID_ARGUMENT', 'The request has no Content-Length', {
      advice: 'Say how many bytes follow: a part is stored whole or not at all.',
    });
  return { size: Number(length), bytes: confirmed(body as AsyncIterable<Uint8Array>, confirm) };
}

async function* confirmed(bytes: AsyncIterable<Uint8Array>, confirm: () => Promise<unknown>): AsyncGenerator<Uint8Array> {
  yield* bytes;
  await confirm();
}

/** Answers with a part, which never changes: its name is its entity tag. */
export async function sendPart(
  request: FastifyRequest,
  reply: FastifyReply,
  part: StoredFile,
  name: string,
): Promise<FastifyReply> {
  const tag = `"${name}"`;
  const { range, 'if-range': condition } = request.headers;
  const wanted = condition === undefined || condition === tag ? parseRange(range, part.size) : 'whole';
  // The answer to HEAD has the same headers, but Fastify would read a whole part for it and send nothing.
  const read = wanted !== 'unsatisfiable' && part.size > 0 && request.method !== 'HEAD';
  // Open it before any header is set: a missing part must not be cached for ever.
  const file = read ? await opened(part, name) : undefined;
  reply.header('accept-ranges', 'bytes').header('etag', tag).header('cache-control', 'private, max-age=31536000, immutable');
  if (wanted === 'unsatisfiable') return refuseRange(request, reply, part.size);

  const { start, end } = wanted === 'whole' ? { start: 0, end: part.size - 1 } : wanted;
  if (wanted !== 'whole') reply.code(206).header('content-range', `bytes ${start}-${end}/${part.size}`);
  reply.header('content-length', end - start + 1).type('application/octet-stream');
  return reply.send(file ? file.createReadStream({ start, end }) : Readable.from([]));
}

/** Opens a part that may have been collected since it was found. NOT_FOUND */
async function opened({ file }: StoredFile, name: string): Promise<FileHandle> {
  try {
    return await open(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new ModelGuardError('NOT_FOUND', `${name} is not here`);
  }
}

function refuseRange(request: FastifyRequest, reply: FastifyReply, size: number): FastifyReply {
  const { code, message } = new ModelGuardError('INVALID_ARGUMENT', `The part has ${size} bytes`, {
    advice: 'Ask for a range within them.',
  });
  const failure = { error: { code, message, path: 'range', request: request.id } };
  return reply
    .code(416)
    .header('content-range', `bytes */${size}`)
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(failure));
}
