/** The faults of one exchange over HTTP, and their effect on headers and bodies. */

export type Fault =
  /** The answer, or what follows its first `after` bytes, comes late or never. */
  | { readonly kind: 'delay'; readonly ms: number | 'never'; readonly after?: number }
  /** The connection ends in a body, after so many bytes of the announced length. */
  | { readonly kind: 'cut'; readonly after: number; readonly of?: 'request' | 'answer' }
  /** This request and those after it, `count` in all, are refused, as S3 does it. `retryAfter` is in seconds. */
  | { readonly kind: 'burst'; readonly count: number; readonly status?: 500 | 503; readonly retryAfter?: number }
  /** A well-formed answer with the first `to` bytes only: Content-Length agrees, Content-Range does not. */
  | { readonly kind: 'truncate'; readonly to: number }
  /** Flips one bit of the byte at this place of a body. */
  | { readonly kind: 'corrupt'; readonly at: number; readonly of?: 'request' | 'answer' }
  /**
   * `shift`: the range so many bytes further on, and labelled so. The request is changed for it: what a header signs goes on without its
   * signature, so the bucket must let anybody read.
   */
  | { readonly kind: 'wrongRange'; readonly shift: number }
  /** `whole`: 200 with all there is, under the same condition; `unlabelled`: the right bytes without Content-Range. */
  | { readonly kind: 'wrongRange'; readonly answer: 'whole' | 'unlabelled' }
  /** The body comes a few bytes at a time. */
  | { readonly kind: 'trickle'; readonly bytes: number; readonly everyMs: number }
  /** RST, without a byte of an answer: at once, or when the server has done what it was asked. */
  | { readonly kind: 'reset'; readonly when?: 'asked' | 'answered' }
  /** Another ETag than the object has. */
  | { readonly kind: 'etag'; readonly value?: string };

export type FaultOf<Kind extends Fault['kind']> = Extract<Fault, { kind: Kind }>;

/** Resolves after so many milliseconds, or when nobody waits for the answer any more. */
export type Wait = (ms: number | 'never') => Promise<void>;

/** Names and values in turn, as node:http has them in `rawHeaders`. */
export type RawHeaders = readonly string[];

/** The headers without this one, or with this value instead. */
export function withHeader(headers: RawHeaders, name: string, value: string | undefined): string[] {
  const kept = headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase() !== name);
  return value === undefined ? kept : [...kept, name, value];
}

export function changedRequest(headers: RawHeaders, range: string | undefined, fault: Fault | undefined): string[] {
  if (fault?.kind !== 'wrongRange' || range === undefined) return [...headers];
  const unsigned = withHeader(headers, 'authorization', undefined);
  if ('shift' in fault) return withHeader(unsigned, 'range', shifted(range, fault.shift));
  return fault.answer === 'whole' ? withHeader(unsigned, 'range', undefined) : [...headers];
}

const shifted = (range: string, by: number): string =>
  range.replace(/[0-9]+/g, (place) => String(Math.max(0, Number(place) + by)));

const ANOTHER_ETAG = '"00000000000000000000000000000000"';

export function changedAnswer(headers: RawHeaders, length: number | undefined, fault: Fault | undefined): string[] {
  if (fault?.kind === 'etag') return withHeader(headers, 'etag', fault.value ?? ANOTHER_ETAG);
  if (fault?.kind === 'truncate') return withHeader(headers, 'content-length', String(Math.min(length ?? Infinity, fault.to)));
  if (fault?.kind === 'wrongRange' && 'answer' in fault && fault.answer === 'unlabelled')
    return withHeader(headers, 'content-range', undefined);
  return [...headers];
}

export type Body = AsyncIterable<Buffer>;

/** What becomes of the body of the request or of the answer; undefined: it stays as it is. */
export function changedBody(of: 'request' | 'answer', fault: Fault | undefined, wait: Wait): ((body: Body) => Body) | undefined {
  switch (fault?.kind) {
    case 'cut':
      return (fault.of ?? 'answer') === of ? (body) => first(body, fault.after) : undefined;
    case 'corrupt':
      return (fault.of ?? 'answer') === of ? (body) => flipped(body, fault.at) : undefined;
    case 'truncate':
      return of === 'answer' ? (body) => first(body, fault.to) : undefined;
    case 'trickle':
      return of === 'answer' ? (body) => trickled(body, fault, wait) : undefined;
    case 'delay':
      return of === 'answer' && fault.after !== undefined
        ? (body) => stalled(body, fault.after ?? 0, () => wait(fault.ms))
        : undefined;
    default:
      return undefined;
  }
}

async function* first(body: Body, count: number): AsyncGenerator<Buffer, void, undefined> {
  let left = count;
  if (left <= 0) return;
  for await (const piece of body) {
    yield piece.subarray(0, left);
    left -= piece.length;
    if (left <= 0) return;
  }
}

async function* flipped(body: Body, at: number): AsyncGenerator<Buffer, void, undefined> {
  let start = 0;
  for await (const piece of body) {
    const changed = Buffer.from(piece);
    const byte = changed[at - start];
    if (byte !== undefined) changed[at - start] = byte ^ 1;
    start += piece.length;
    yield changed;
  }
}

async function* trickled(
  body: Body,
  { bytes, everyMs }: FaultOf<'trickle'>,
  wait: Wait,
): AsyncGenerator<Buffer, void, undefined> {
  for await (const piece of body) {
    for (let at = 0; at < piece.length; at += bytes) {
      await wait(everyMs);
      yield piece.subarray(at, at + bytes);
    }
  }
}

async function* stalled(body: Body, after: number, wait: () => Promise<void>): AsyncGenerator<Buffer, void, undefined> {
  let start = 0;
  for await (const piece of body) {
    const before = Math.max(0, after - start);
    start += piece.length;
    if (before >= piece.length) {
      yield piece;
      continue;
    }
    if (before > 0) yield piece.subarray(0, before);
    if (start - piece.length <= after) await wait();
    yield piece.subarray(before);
  }
}

const REFUSALS = {
  500: ['InternalError', 'We encountered an internal error. Please try again.'],
  503: ['SlowDown', 'Please reduce your request rate.'],
} as const;

/** What S3 says when it has too much to do. */
export function refusal({ status = 503, retryAfter }: FaultOf<'burst'>): { status: number; headers: string[]; body: string } {
  const [code, message] = REFUSALS[status];
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  const headers = ['content-type', 'application/xml', 'content-length', String(Buffer.byteLength(body))];
  return { status, headers: retryAfter === undefined ? headers : [...headers, 'retry-after', String(retryAfter)], body };
}
