/** A big part behind an address that lives for minutes: at the server, in a bucket, or at a CDN. */
import { type AbortSignalLike, throwIfAborted } from '../base/abort.js';
import { hasCode, ModelGuardError } from '../errors.js';
import type { HttpResponse } from '../http/response.js';
import { storageFailure } from '../http/storage-failure.js';
import { treeLimit } from '../stores/parts.js';
import { type RangeResponse, type RangeSource, rangeResponse } from '../transfer/range-source.js';
import type { BigFacts } from './device/state.js';
import { mayHaveExpired, partAddress } from './http/address.js';
import type { Client } from './http/client.js';

/** An address that ends while a request is on its way is not used. */
const SPARE_SECONDS = 5;

interface BigPartOptions {
  readonly client: Client;
  readonly big: BigFacts;
  /** Asks for an address anew: by asking for the lease again. */
  readonly renew: (signal: AbortSignalLike | undefined) => Promise<BigFacts>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** An address that is over is replaced once for a request; several requests that find out together ask once. */
export class RemoteBigPart implements RangeSource {
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

  async range(offset: number, length: number, signal: AbortSignalLike): Promise<RangeResponse> {
    return rangeResponse(await this.#get(({ url }) => url, { range: `bytes=${offset}-${offset + length - 1}` }, signal));
  }

  async tree(signal: AbortSignalLike): Promise<Uint8Array | undefined> {
    if (this.#big.treeUrl === undefined) return undefined;
    const answer = await this.#get(({ treeUrl = '' }) => treeUrl, {}, signal);
    return await answer.bytes(treeLimit(this.size));
  }

  /** An answer that is a success. */
  async #get(
    urlOf: (big: BigFacts) => string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignalLike,
  ): Promise<HttpResponse> {
    const { client, now } = this.#options;
    const ask = (): Promise<HttpResponse> => {
      const url = partAddress(client.base, urlOf(this.#big));
      return client.transport.send({ method: 'GET', url, headers, signal, long: true });
    };
    throwIfAborted(signal);
    const early = now() / 1000 > this.#ends;
    if (early) await this.#renew(this.#big, signal);
    const used = this.#big;
    let answer = await ask();
    if (mayHaveExpired(answer.status) && !early) {
      answer.discard();
      await this.#renew(used, signal);
      answer = await ask();
    }
    if (answer.status === 200 || answer.status === 206) return answer;
    // The server has just named this address: a page that says otherwise is none of the storage's.
    throw storageFailure(answer, 'The big part', now(), false);
  }

  async #renew(used: BigFacts, signal: AbortSignalLike): Promise<void> {
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
    try {
      await this.#renewing;
    } catch (error) {
      // It ended with the signal of the caller that asked first, which is another.
      if (!hasCode(error, 'ABORT_ERR') || signal.aborted) throw error;
      await this.#renew(used, signal);
    }
  }
}
