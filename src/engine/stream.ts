/** A range of a file as a web stream. */
import { ReadableStream } from 'node:stream/web';
import { type AbortSignalLike, untilAborted } from '../base/abort.js';
import { AbortError } from '../errors.js';
import type { RangeReader } from '../formats/index.js';

// biome-ignore lint/suspicious/noExplicitAny: stands for types of Node and of the DOM, which are not assignable to each other
type Foreign = any;

interface ModelStreamReader {
  readonly closed: Promise<Foreign>;
  read(): Promise<{ done: false; value: Uint8Array } | { done: true; value: undefined }>;
  cancel(reason?: unknown): Promise<void>;
  releaseLock(): void;
}

interface ModelStreamIterator extends AsyncIterator<Uint8Array, undefined> {
  [Symbol.asyncIterator](): ModelStreamIterator;
  [Symbol.asyncDispose](): Promise<void>;
}

interface ModelStreamMembers {
  getReader(): ModelStreamReader;
  getReader(options: Foreign): Foreign;
  readonly pipeThrough: Foreign;
  readonly tee: Foreign;
  readonly values: Foreign;
  [Symbol.asyncIterator](): ModelStreamIterator;
}

/**
 * A `ReadableStream` of `Uint8Array`: assignable to that of Node (`Readable.fromWeb`) and, in programs with its types, to that of the DOM
 * (`new Response`). The declarations of this package need neither.
 */
export type ModelStream = typeof globalThis extends { ReadableStream: { prototype: infer Stream } }
  ? Omit<Stream, keyof ModelStreamMembers> & ModelStreamMembers
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
