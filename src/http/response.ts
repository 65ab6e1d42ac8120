/** A response: status, headers, and a body that is read within bounds. */
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { ModelGuardError } from '../errors.js';
import { unreachable } from './unreachable.js';
import type { Watch } from './watch.js';

export class HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly #message: IncomingMessage;
  readonly #request: ClientRequest;
  readonly #watch: Watch;
  readonly #where: string;

  constructor(message: IncomingMessage, request: ClientRequest, watch: Watch, where: string) {
    this.status = message.statusCode ?? 0;
    this.headers = message.headers;
    this.#message = message;
    this.#request = request;
    this.#watch = watch;
    this.#where = where;
  }

  /** The body in order, as it comes. What breaks off in the middle, or comes too slowly, is an error, never an end. */
  async *pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    const pieces: AsyncIterator<Uint8Array> = this.#message[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#watch.next(pieces);
        if (next.done) return;
        yield next.value;
      }
    } catch (error) {
      throw unreachable(error, this.#where);
    } finally {
      if (!this.#message.readableEnded) this.#message.destroy();
      this.#leave();
    }
  }

  /** The whole body. RESPONSE_INVALID if it is longer than `limit`. */
  async bytes(limit: number): Promise<Uint8Array> {
    const announced = Number(this.headers['content-length'] ?? 0);
    if (announced > limit) this.#refuseLonger(limit);
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of this.pieces()) {
      size += piece.length;
      if (size > limit) this.#refuseLonger(limit);
      pieces.push(piece);
    }
    return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
  }

  #refuseLonger(limit: number): never {
    this.discard();
    throw new ModelGuardError('RESPONSE_INVALID', `${this.#where} answers with more than ${limit} bytes`);
  }

  /** Nothing of it is wanted; the connection goes with it. */
  discard(): void {
    this.#message.destroy();
    this.#leave();
  }

  #leave(): void {
    this.#watch.end();
    // A body that was refused early is not sent to its end.
    if (!this.#request.writableEnded) this.#request.destroy();
  }
}
