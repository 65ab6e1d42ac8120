/** Lists that come in pages, as one iteration. */
import { type AbortSignalLike, throwIfAborted } from '../../base/abort.js';
import { ModelGuardError } from '../../errors.js';
import { PageMarkers } from '../../http/page-markers.js';

interface Page<Item> {
  readonly items: readonly Item[];
  readonly next?: string | undefined;
}

/** Asks for a page when the one before is used up. RESPONSE_INVALID for a server that goes in circles, or on and on with nothing. */
export async function* paged<Item>(
  signal: AbortSignalLike | undefined,
  ask: (cursor: string | undefined) => Promise<Page<Item>>,
): AsyncGenerator<Item, void, undefined> {
  const markers = new PageMarkers();
  let cursor: string | undefined;
  do {
    throwIfAborted(signal);
    const { items, next } = await ask(cursor);
    yield* items;
    cursor = next;
    if (cursor !== undefined && !markers.goesOn(cursor, items.length))
      throw new ModelGuardError('RESPONSE_INVALID', 'The server answers with a list that does not go on');
  } while (cursor !== undefined);
}
