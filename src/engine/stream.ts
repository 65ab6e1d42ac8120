/** A range of a file as a web stream. */
import { ReadableStream } from 'node:stream/web';
import { type AbortSignalLike, untilAborted } from '../base/abort.js';
import { AbortError } from '../errors.js';
import type { RangeReader } from '../formats/index.js';

/**
 * The ReadableStream of the program's own types, of Node or of the DOM: the declarations of this package need neither. Its chunks are
 * `Uint8Array`.
 */
export type ModelStream = typeof globalThis extends { ReadableStream: { prototype: infer Stream } }
  ? Stream
  : AsyncIterable<Uint8Array>;

/** Bytes of a chunk: a batch of the engine. */
const CHUNK = 1024 * 1024;

export interface StreamRange {
  readonly offset: number;
  readonly length: number;
  readonly signal?: AbortSignalLike | undefined;
}

/**
 * Reads a chunk when its consumer asks for one, and none ahead. Chunks are not wiped when the next one is asked for: consumers, as Node's
 * `Readable`, hold several. They are wiped with the model, as all that `read` gives.
 */
export function rangeStream(file: RangeReader, { offset, length, signal }: StreamRange): ModelStream {
  const end = offset + length;
  let at = offset;
  let stop = (): void => {};
  const stream = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const abort = (): void => {
          stop();
          controller.error(new AbortError(signal?.reason));
        };
        stop = () => signal?.removeEventListener('abort', abort);
        if (signal?.aborted) return abort();
        if (at === end) return controller.close();
        signal?.addEventListener('abort', abort);
      },
      async pull(controller) {
        try {
          const bytes = await untilAborted(signal, file.read(at, Math.min(CHUNK, end - at)));
          at += bytes.length;
          controller.enqueue(bytes);
          if (at < end) return;
          controller.close();
        } catch (error) {
          controller.error(error);
        }
        stop();
      },
      cancel: () => stop(),
    },
    { highWaterMark: 0 },
  );
  return stream as unknown as ModelStream;
}
