/** A store that is only read, behind any web server or CDN: `small/<name>/<version>`, `big/<payloadId>-<offset>` and its `.tree`. */

import type { AbortSignalLike } from '../abort.js';
import { hasCode, ModelGuardError } from '../errors.js';
import { safeAddress } from '../http/address.js';
import type { Answer } from '../http/answer.js';
import { hinted } from '../http/hints.js';
import { type Pace, pace as realPace, retried } from '../http/pace.js';
import { isPage } from '../http/pages.js';
import { storageFailure } from '../http/storage-failure.js';
import type { TlsSource } from '../http/tls.js';
import { Transport } from '../http/transport.js';
import { MAX_SMALL } from '../limits.js';
import { httpStoreOptions, parse } from '../options.js';
import { checkRangeAnswer, rangeHeadOf, readContentRange, type WantedRange } from '../transfer/range-answer.js';
import { type RangedSurroundings, rangedPart } from '../transfer/ranged.js';
import { checkedBigName, checkedRef, label, treeLimit } from './parts.js';
import type { ModelRef, OpenBigPart, PartStore, StoreOptions } from './store.js';

/** Options of {@link httpStore}. */
export interface HttpStoreOptions {
  /** Sent with every request, such as `authorization`; they may be secret. */
  readonly headers?: { readonly [name: string]: string } | undefined;
  /** Requests at once for one part, 1 to 16. Default: 6. */
  readonly connections?: number | undefined;
  /** How long an answer may take, and a stream be silent, in milliseconds. Default: 30,000. */
  readonly timeoutMs?: number | undefined;
  /** An own certificate authority, a client certificate: paths of PEM files, or their text. TLS 1.3 is always verified. Files that change are read again. */
  readonly tls?: TlsSource | undefined;
  /**
   * The URL of an HTTP proxy for every address, with `USER:PASSWORD@` where it asks for them; `false`: none. Default: HTTPS_PROXY, HTTP_PROXY
   * for plain HTTP, and NO_PROXY, in lower or upper case. TLS goes through a tunnel, from end to end.
   */
  readonly proxy?: string | false | undefined;
}

const TIMEOUT_MS = 30_000;

/**
 * A PartStore that a web server or a CDN serves, to load from: what `fileStore` or `s3Store` wrote, at the same names. The server must
 * answer requests for ranges. Where other keys publish, give `{ small, big: httpStore(…) }` to load and another store to protect.
 * @param url `https://…`, `http://…` for this machine alone.
 * @throws INVALID_ARGUMENT. Every method: NOT_FOUND, PERMISSION_DENIED · SERVER_UNREACHABLE, SERVER_FAILED, RESPONSE_INVALID,
 *   TIMED_OUT · READ_ONLY for whatever writes
 * @example
 * const store = httpStore('https://cdn.example.org/models', { headers: { authorization: `Bearer ${token}` } });
 */
export function httpStore(url: string, options?: HttpStoreOptions): PartStore {
  return httpStoreIn(url, options, {});
}

/** The same, with time and chance of one's own. */
export function httpStoreIn(url: string, options: HttpStoreOptions | undefined, surroundings: RangedSurroundings): PartStore {
  return new HttpStore(safeAddress(String(url), 'url'), parse(httpStoreOptions, options) ?? {}, surroundings);
}

class HttpStore implements PartStore {
  readonly #base: URL;
  readonly #options: HttpStoreOptions;
  readonly #transport: Transport;
  readonly #surroundings: RangedSurroundings;
  readonly #pace: Pace;

  constructor(base: URL, options: HttpStoreOptions, surroundings: RangedSurroundings) {
    const { tls, proxy, timeoutMs = TIMEOUT_MS } = options;
    this.#base = base;
    this.#options = options;
    const { pace = realPace, timers } = surroundings;
    this.#transport = new Transport({ origin: base.origin, tls, proxy, timeoutMs, timers });
    this.#surroundings = surroundings;
    this.#pace = pace;
  }

  /** What is neither whole nor part is an error; the caller reads the body or discards it. */
  async #get(
    path: string,
    what: string,
    signal: AbortSignalLike | undefined,
    { method = 'GET', headers: more = {} }: { method?: 'GET' | 'HEAD'; headers?: Readonly<Record<string, string>> } = {},
  ): Promise<Answer> {
    const url = new URL(this.#base);
    url.pathname = `${url.pathname.replace(/\/+$/, '')}/${path}`;
    const headers = { ...this.#options.headers, ...more };
    const answer = await this.#transport.send({ method, url, headers, signal, long: true });
    if (answer.status === 200 || answer.status === 206) return answer;
    throw storageFailure(answer, what, Date.now());
  }

  async #whole(path: string, what: string, limit: number, signal: AbortSignalLike | undefined): Promise<Uint8Array> {
    const answer = await this.#get(path, what, signal);
    if (answer.status !== 200) throw storageFailure(answer, what, Date.now());
    const bytes = Uint8Array.from(await answer.bytes(limit));
    if (!isPage(answer) || !beginsAsPage(bytes)) return bytes;
    throw hinted(
      new ModelGuardError('RESPONSE_INVALID', `${what}: the web server answers with a page`, {
        advice: 'Check what stands before it: a proxy, a gateway, the log-in page of a network.',
      }),
      { effect: 'undone' },
    );
  }

  async getSmall(ref: ModelRef, { signal }: StoreOptions = {}): Promise<Uint8Array> {
    const { name, version } = checkedRef(ref);
    return await retried({ pace: this.#pace, repeatable: true, signal }, () =>
      this.#whole(`small/${name}/${version}`, `The small part of ${label(ref)}`, MAX_SMALL, signal),
    );
  }

  async openBig(ref: ModelRef, name: string, { signal }: StoreOptions = {}): Promise<OpenBigPart> {
    const path = `big/${checkedBigName(name)}`;
    const what = `The big part of ${label(ref)}`;
    const { connections, timeoutMs } = this.#options;
    const pace = this.#pace;
    const size = await retried({ pace, repeatable: true, signal }, () => this.#size(path, what, signal));
    return rangedPart(
      {
        size,
        stream: (offset, length, until) => this.#range(path, what, { offset, length, size }, until),
        tree: async (until) => {
          try {
            return await this.#whole(`${path}.tree`, `The tree of the big part of ${label(ref)}`, treeLimit(size), until);
          } catch (error) {
            // Some servers refuse what is not there.
            if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'PERMISSION_DENIED')) return undefined;
            throw error;
          }
        },
      },
      { connections, timeoutMs, ...this.#surroundings },
    );
  }

  /** The first byte says how many there are, and whether the server knows ranges; HEAD is asked where it says the one only. */
  async #size(path: string, what: string, signal: AbortSignalLike | undefined): Promise<number> {
    const answer = await this.#get(path, what, signal, { headers: { range: 'bytes=0-0' } });
    const range = readContentRange(answer.headers['content-range']);
    if (answer.status !== 206 || range?.first !== 0 || range.last !== 0) {
      answer.discard();
      throw hinted(
        new ModelGuardError('RESPONSE_INVALID', `${what}: the web server does not answer with the range that it was asked for`, {
          advice: 'Serve big parts from a server that answers requests for ranges.',
        }),
        { effect: 'undone' },
      );
    }
    await answer.bytes(1);
    if (range.size !== undefined) return range.size;
    const head = await this.#get(path, what, signal, { method: 'HEAD' });
    head.discard();
    const size = Number(head.headers['content-length']);
    if (Number.isSafeInteger(size) && size > 0) return size;
    throw new ModelGuardError('RESPONSE_INVALID', `${what}: the web server does not tell its length`, {
      advice: 'Serve big parts with their length in Content-Range, or in the Content-Length of HEAD.',
    });
  }

  async *#range(
    path: string,
    what: string,
    wanted: WantedRange,
    signal: AbortSignalLike,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { offset, length } = wanted;
    const answer = await this.#get(path, what, signal, { headers: { range: `bytes=${offset}-${offset + length - 1}` } });
    try {
      checkRangeAnswer(rangeHeadOf(answer), wanted);
    } catch (error) {
      answer.discard();
      throw error;
    }
    yield* answer.pieces();
  }

  async putSmall(): Promise<never> {
    throw readOnly();
  }
  async putBig(): Promise<never> {
    throw readOnly();
  }
  async collect(): Promise<never> {
    throw readOnly();
  }
  // biome-ignore lint/correctness/useYield: it has nothing to give
  async *list(): AsyncGenerator<ModelRef, void, undefined> {
    throw new ModelGuardError('INVALID_ARGUMENT', 'A web server does not tell what lies there', {
      advice: 'Say which model and version you want, or list the store that was written to.',
    });
  }
}

/** Neither a small part nor, but by chance, a tree begins so. */
const beginsAsPage = (bytes: Uint8Array): boolean => /^\s*</.test(Buffer.from(bytes.subarray(0, 64)).toString('latin1'));

const readOnly = (): ModelGuardError =>
  new ModelGuardError('READ_ONLY', 'A store behind a web server is only read', {
    advice: 'Write to the folder or bucket that the web server serves.',
  });
