/** Pieces of any size → lines of bounded length. */
import { ModelGuardError } from '../errors.js';

const LINE_FEED = 0x0a;
/** Many times what an event can have. */
const MAX_LINE = 1024 * 1024;

/** A line without its line feed. */
export interface Line {
  readonly bytes: Uint8Array;
  /** Whether a line feed followed; only the last line may have none. */
  readonly ended: boolean;
}

/** Never holds more than a piece and a line. LIMIT_EXCEEDED */
export async function* linesOf(pieces: AsyncIterable<Uint8Array | string>): AsyncGenerator<Line> {
  let waiting: Uint8Array[] = [];
  let length = 0;
  const take = (bytes: Uint8Array, line: number): void => {
    length += bytes.length;
    if (length > MAX_LINE) throw new ModelGuardError('LIMIT_EXCEEDED', `Line ${line} has more than ${MAX_LINE} bytes`);
    waiting.push(bytes);
  };
  const give = (ended: boolean): Line => {
    const bytes = waiting.length === 1 ? (waiting[0] as Uint8Array) : Buffer.concat(waiting);
    waiting = [];
    length = 0;
    return { bytes, ended };
  };
  let line = 1;
  for await (const piece of encoded(pieces)) {
    let start = 0;
    for (let end = piece.indexOf(LINE_FEED); end >= 0; end = piece.indexOf(LINE_FEED, start)) {
      take(piece.subarray(start, end), line++);
      yield give(true);
      start = end + 1;
    }
    // A copy: the reader of a file may use its buffer again.
    if (start < piece.length) take(Uint8Array.from(piece.subarray(start)), line);
  }
  if (length > 0) yield give(false);
}

/** Text is cut between UTF-16 units, so half a character may have to wait for the next piece. */
async function* encoded(pieces: AsyncIterable<Uint8Array | string>): AsyncGenerator<Uint8Array> {
  let half = '';
  for await (const piece of pieces) {
    if (typeof piece !== 'string') {
      yield piece;
      continue;
    }
    const text = half + piece;
    const cut = /[\ud800-\udbff]$/.test(text) ? text.length - 1 : text.length;
    half = text.slice(cut);
    yield Buffer.from(text.slice(0, cut));
  }
  if (half) yield Buffer.from(half);
}
