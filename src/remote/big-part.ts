/** A big part behind an address that lives for minutes, read in ranges. */
import { type AbortSignalLike, throwIfAborted } from '../abort.js';
import { hasCode, ModelGuardError } from '../errors.js';
import type { OpenBigPart, StoreOptions } from '../stores/store.js';
import type { BigFacts } from './device/state.js';
import { partAddress } from './http/address.js';
import type { Answer } from './http/answer.js';
import type { Client } from './http/client.js';
import { failureOf } from './http/failures.js';
import { retried } from './http/pace.js';

const MAX_TREE = 512 * 1024 * 1024;
/** An address that ends while a request is on its way is not used. */
const SPARE_SECONDS = 5;
/** What a store of addresses says to one that is over. */
const OVER = new Set([401, 403, 410]);

interface BigPartOptions {
  readonly client: Client;
  readonly big: BigFacts;
  /** Asks for an address anew: by asking for the lease again. */
  readonly renew: (signal: AbortSignalLike | undefined) => Promise<BigFacts>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Answers ranges exactly, or fails. */
export class RemoteBigPart implements OpenBigPart {
  readonly size: number;
  readonly #options: BigPartOptions;
  #big: BigFacts;
  /** Seconds since 1970: when another address is asked for, unasked. */
  #ends: number;
  #renewing: Promise<void> | undefined;

  constructor(options: BigPartOptions) {
    this.#options = options;
    this.#big = options.big;
    this.#ends = options.big.expires - SPARE_SECONDS;
    this.size = options.big.size;
  }

  async read(offset: number, length: number, { signal }: StoreOptions = {}): Promise<Uint8Array> {
    throwIfAborted(signal);
    if (length === 0) return new Uint8Array();
    const range = { range: `bytes=${offset}-${offset + length - 1}` };
    return await this.#asking(signal, async () => {
      const answer = await this.#get(this.#big.url, range, signal);
      if (answer.status !== 200 && answer.status !== 206) throw await this.#failure(answer);
      this.#checkRange(answer, offset, length);
      return exactly(answer, length);
    });
  }

  async tree(): Promise<Uint8Array | undefined> {
    try {
      return await this.#asking(undefined, async () => {
        const { treeUrl } = this.#big;
        if (treeUrl === undefined) return undefined;
        const answer = await this.#get(treeUrl, {}, undefined);
        if (answer.status !== 200) throw await this.#failure(answer);
        return await answer.bytes(MAX_TREE);
      });
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async close(): Promise<void> {}

  /** Connections that break are taken up again; an address that is over is replaced once. */
  async #asking<T>(signal: AbortSignalLike | undefined, task: () => Promise<T>): Promise<T> {
    let renewed = false;
    const { client } = this.#options;
    return await retried({ pace: client.pace, repeatable: true, signal }, async () => {
      if (this.#options.now() / 1000 > this.#ends) {
        await this.#renew(this.#big, signal);
        renewed = true;
      }
      const used = this.#big;
      try {
        return await task();
      } catch (error) {
        if (!(error instanceof AddressOver)) throw error;
        if (renewed) throw error.failure;
        renewed = true;
      }
      await this.#renew(used, signal);
      try {
        return await task();
      } catch (error) {
        throw error instanceof AddressOver ? error.failure : error;
      }
    });
  }

  /** Several reads find out at the same time; one of them asks. */
  async #renew(used: BigFacts, signal: AbortSignalLike | undefined): Promise<void> {
    if (this.#big !== used) return;
    this.#renewing ??= this.#options
      .renew(signal)
      .then((big) => {
        if (big.name !== used.name || big.size !== used.size)
          throw new ModelGuardError('PARTS_MISMATCH', 'The model was published anew while it was read');
        this.#big = big;
        // Clocks differ: an address that is over when it comes is tried until its server says so, or every read would ask for one.
        const ends = big.expires - SPARE_SECONDS;
        this.#ends = this.#options.now() / 1000 > ends ? Number.POSITIVE_INFINITY : ends;
      })
      .finally(() => {
        this.#renewing = undefined;
      });
    await this.#renewing;
  }

  #get(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignalLike | undefined): Promise<Answer> {
    const { client } = this.#options;
    return client.transport.send({ method: 'GET', url: partAddress(client.base, url), headers, signal, long: true });
  }

  async #failure(answer: Answer): Promise<Error> {
    const failure = await failureOf(answer, this.#options.now());
    return OVER.has(answer.status) ? new AddressOver(failure) : failure;
  }

  #checkRange(answer: Answer, offset: number, length: number): void {
    const whole = answer.status === 200 && offset === 0 && length === this.size;
    const range = `bytes ${offset}-${offset + length - 1}/${this.size}`;
    if (whole || (answer.status === 206 && answer.headers['content-range'] === range)) return;
    answer.discard();
    throw new ModelGuardError(
      'RESPONSE_INVALID',
      `The server answers with another range than bytes ${offset} to ${offset + length}`,
    );
  }
}

class AddressOver extends Error {
  constructor(readonly failure: ModelGuardError) {
    super('the address of a part is over');
  }
}

/** A buffer of its own. What breaks off is an error of the connection; what ends too early or too late is one of the server. */
async function exactly(answer: Answer, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  for await (const piece of answer.pieces()) {
    if (done + piece.length > length) break;
    bytes.set(piece, done);
    done += piece.length;
  }
  if (done === length) return bytes;
  throw new ModelGuardError(
    'RESPONSE_INVALID',
    `The server answers with another number of bytes than the ${length} it was asked for`,
  );
}
