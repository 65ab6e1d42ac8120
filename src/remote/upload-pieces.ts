/** Pieces of a big part on their way straight to the storage, by addresses that the server signs and that live for minutes. */
import type { AbortSignalLike } from '../base/abort.js';
import type { RouteAnswer } from '../contract/index.js';
import { hasCode, ModelGuardError } from '../errors.js';
import { isPage } from '../http/pages.js';
import type { HttpResponse } from '../http/response.js';
import { retryAfter } from '../http/retry.js';
import { withRetryHint } from '../http/retry-hints.js';
import { slices } from '../http/slices.js';
import { mayPass } from '../http/storage-failure.js';
import type { Upload } from '../http/transport.js';
import type { Connection } from './connection.js';
import { mayHaveExpired, partAddress } from './http/address.js';

type Address = RouteAnswer<'uploadUrls'>['urls'][number];

/** Addresses in one question: those that are wanted soon, for they end. */
const BATCH = 16;
/** An address that ends while a piece is on its way is not used. */
const SPARE_SECONDS = 30;
const MAX_FAILURE = 64 * 1024;

interface Sending {
  readonly connection: Connection;
  /** Id of the upload. */
  readonly upload: string;
  /** The last piece. */
  readonly count: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class PieceSender {
  readonly #sending: Sending;
  /** By number of the piece; several pieces wait for one answer. */
  readonly #addresses = new Map<number, Promise<Address>>();

  constructor(sending: Sending) {
    this.#sending = sending;
  }

  /** Sends a piece; an address that is over is replaced once. */
  async send(number: number, bytes: Uint8Array, signal: AbortSignalLike): Promise<void> {
    const first = await this.#address(number, signal);
    if (await this.#put(first, bytes, signal, true)) return;
    this.#addresses.delete(number);
    await this.#put(await this.#address(number, signal), bytes, signal, false);
  }

  /** True when the storage took the bytes; false for an address that has expired, if that is forgiven. */
  async #put({ url }: Address, bytes: Uint8Array, signal: AbortSignalLike, forgiven: boolean): Promise<boolean> {
    const { client } = this.#sending.connection;
    const body: Upload = { size: bytes.length, pieces: slices(bytes) };
    // Without the token: the address alone says what may be done.
    const answer = await client.transport.send({ method: 'PUT', url: partAddress(client.base, url), body, signal, long: true });
    if (answer.status >= 200 && answer.status < 300 && !isPage(answer)) {
      await answer.bytes(MAX_FAILURE);
      return true;
    }
    const failure = await refusal(answer, this.#sending.now());
    if (forgiven && mayHaveExpired(answer.status)) return false;
    throw failure;
  }

  async #address(number: number, signal: AbortSignalLike): Promise<Address> {
    const known = await this.#addresses.get(number);
    if (known && known.expires - SPARE_SECONDS > this.#sending.now() / 1000) return known;
    // Clocks differ: an address that is over when it comes is tried until the storage says so.
    return await this.#ask(number, signal);
  }

  #ask(number: number, signal: AbortSignalLike): Promise<Address> {
    const { connection, upload, count } = this.#sending;
    const numbers: number[] = [];
    for (let next = number; next <= count && numbers.length < BATCH; next += 1)
      if (next === number || !this.#addresses.has(next)) numbers.push(next);
    const answered = connection.procedure({ repeatable: true, signal }, (options) =>
      connection.client.call('uploadUrls', { params: { upload }, body: { numbers } }, options),
    );
    for (const one of numbers) {
      const address = answered.then(({ urls }) => {
        const found = urls.find((url) => url.number === one);
        if (!found) throw new ModelGuardError('RESPONSE_INVALID', `The server names no address for piece ${one}`);
        return found;
      });
      this.#addresses.set(one, address);
      // The next piece that needs it asks again.
      address.catch(() => {
        if (this.#addresses.get(one) === address) this.#addresses.delete(one);
      });
    }
    return this.#addresses.get(number) as Promise<Address>;
  }
}

/** The storage's answer is XML, or anything: a code in it is all that is read. */
async function refusal(answer: HttpResponse, now: number): Promise<ModelGuardError> {
  const { status, headers } = answer;
  const after = retryAfter(headers['retry-after'], now);
  const code = /<Code>(\w{1,64})<\/Code>/.exec(await textOf(answer))?.[1];
  const told = `${status}${code === undefined ? '' : ` ${code}`}`;
  if (mayPass(status) || code === 'RequestTimeout' || (code === undefined && isPage(answer)))
    return withRetryHint(
      new ModelGuardError('SERVER_FAILED', `The storage failed to take a piece (${told})`, { advice: 'Try again later.' }),
      {
        effect: 'undone',
        after,
      },
    );
  return new ModelGuardError('RESPONSE_INVALID', `The storage refuses a piece of a big part (${told})`, {
    advice: 'Have the administrator of the guard server check its storage and the keys to write there.',
  });
}

async function textOf(answer: HttpResponse): Promise<string> {
  try {
    return Buffer.from(await answer.bytes(MAX_FAILURE)).toString('latin1');
  } catch (error) {
    // The page of a proxy: the status says enough.
    if (hasCode(error, 'RESPONSE_INVALID')) return '';
    throw error;
  }
}
