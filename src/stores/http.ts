/** A store that is only read, behind any web server or CDN: `small/<name>/<version>`, `big/<payloadId>-<offset>` and its `.tree`. */
import { z } from 'zod';
import type { AbortSignalLike } from '../base/abort.js';
import { MAX_SMALL } from '../base/limits.js';
import { matching, record, text } from '../base/schemas.js';
import { parse } from '../base/validate.js';
import { ModelGuardError } from '../errors.js';
import { safeAddress } from '../http/address.js';
import { MAX_CONNECTIONS, proxy, timeoutMs, tls } from '../http/options.js';
import { isPage } from '../http/pages.js';
import type { HttpResponse } from '../http/response.js';
import { type Pace, pace as realPace, withRetries } from '../http/retry.js';
import { withRetryHint } from '../http/retry-hints.js';
import { storageFailure } from '../http/storage-failure.js';
import type { TlsSource } from '../http/tls.js';
import { Transport } from '../http/transport.js';
import { readContentRange } from '../transfer/range-answer.js';
import { type RangeResponse, rangeResponse } from '../transfer/range-source.js';
import { type RangedTestHooks, rangedPart } from '../transfer/ranged.js';
import { checkedBigName, checkedRef, ifStored, label, treeLimit } from './parts.js';
import type { ModelRef, OpenBigPart, PartStore, StoreOptions } from './store.js';

/** Visible characters and spaces: nothing that ends a header. */
const headerValue = text(8192).regex(/^[\x20-\x7e]*$/, 'holds characters that no header may have');

const MAX_HEADERS = 64;

export const httpStoreOptions = z
  .strictObject({
    headers: record(matching(256, /^[!#$%&'*+.^_`|~\w-]+$/, 'the name of a header'), headerValue, MAX_HEADERS).optional(),
    connections: z.int().min(1).max(MAX_CONNECTIONS).optional(),
    timeoutMs: timeoutMs.optional(),
    tls: tls.optional(),
    proxy: proxy.optional(),
  })
  .optional();

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
  return httpStoreWithHooks(url, options, {});
}

/** {@link httpStore} with hooks for tests. */
export function httpStoreWithHooks(url: string, options: HttpStoreOptions | undefined, hooks: RangedTestHooks): PartStore {
  return new HttpStore(safeAddress(String(url), 'url'), parse(httpStoreOptions, options) ?? {}, hooks);
}

class HttpStore implements PartStore {
  readonly #base: URL;
  readonly #options: HttpStoreOptions;
  readonly #transport: Transport;
  readonly #hooks: RangedTestHooks;
  readonly #pace: Pace;

  constructor(base: URL, options: HttpStoreOptions, hooks: RangedTestHooks) {
    const { tls, proxy, timeoutMs = TIMEOUT_MS } = options;
    this.#base = base;
    this.#options = options;
    const { pace = realPace, timers } = hooks;
    this.#transport = new Transport({ origin: base.origin, tls, proxy, timeoutMs, timers });
    this.#hooks = hooks;
    this.#pace = pace;
  }

  /** The answer, whole or a range; any other status is an error. The caller reads the body or discards it. */
  async #get(
    path: string,
    what: string,
    signal: AbortSignalLike | undefined,
    { method = 'GET', headers: more = {} }: { method?: 'GET' | 'HEAD'; headers?: Readonly<Record<string, string>> } = {},
  ): Promise<HttpResponse> {
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
    throw withRetryHint(
      new ModelGuardError('RESPONSE_INVALID', `${what}: the web server answers with a page`, {
        advice: 'Check what stands before it: a proxy, a gateway, the log-in page of a network.',
      }),
      { effect: 'undone' },
    );
  }

  async getSmall(ref: ModelRef, { signal }: StoreOptions = {}): Promise<Uint8Array> {
    const { name, version } = checkedRef(ref);
    return await withRetries({ pace: this.#pace, repeatable: true, signal }, () =>
      this.#whole(`small/${name}/${version}`, `The small part of ${label(ref)}`, MAX_SMALL, signal),
    );
  }

  async openBig(ref: ModelRef, name: string, { signal }: StoreOptions = {}): Promise<OpenBigPart> {
    const path = `big/${checkedBigName(name)}`;
    const what = `The big part of ${label(ref)}`;
    const { connections, timeoutMs } = this.#options;
    const pace = this.#pace;
    const size = await withRetries({ pace, repeatable: true, signal }, () => this.#size(path, what, signal));
    return rangedPart(
      {
        size,
        range: (offset, length, until) => this.#range(path, what, offset, length, until),
        tree: (until) =>
          ifStored(() => this.#whole(`${path}.tree`, `The tree of the big part of ${label(ref)}`, treeLimit(size), until)),
      },
      { connections, timeoutMs, ...this.#hooks },
    );
  }

  /** The first byte says how many there are, and whether the server knows ranges; HEAD is asked where it says the one only. */
  async #size(path: string, what: string, signal: AbortSignalLike | undefined): Promise<number> {
    const answer = await this.#get(path, what, signal, { headers: { range: 'bytes=0-0' } });
    const range = readContentRange(answer.headers['content-range']);
    if (answer.status !== 206 || range?.first !== 0 || range.last !== 0) {
      answer.discard();
      throw withRetryHint(
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

  async #range(
    path: string,
    what: string,
    offset: number,
    length: number,
    signal: AbortSignalLike | undefined,
  ): Promise<RangeResponse> {
    return rangeResponse(await this.#get(path, what, signal, { headers: { range: `bytes=${offset}-${offset + length - 1}` } }));
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
