/** Lists that come in pages, as one iteration. */
import { type AbortSignalLike, throwIfAborted } from '../../abort.js';
import { ModelGuardError } from '../../errors.js';

interface Page<Item> {
  readonly items: readonly Item[];
  readonly next?: string | undefined;
}

/** Asks for a page when the one before is used up. RESPONSE_INVALID for a server that goes in circles. */
export async function* paged<Item>(
  signal: AbortSignalLike | undefined,
  ask: (cursor: string | undefined) => Promise<Page<Item>>,
): AsyncGenerator<Item, void, undefined> {
  const asked = new Set<string>();
  let cursor: string | undefined;
  do {
    throwIfAborted(signal);
    const { items, next } = await ask(cursor);
    yield* items;
    cursor = next;
    if (cursor !== undefined && asked.has(cursor))
      throw new ModelGuardError('RESPONSE_INVALID', 'The server answers with a page that it gave before');
    if (cursor !== undefined) asked.add(cursor);
  } while (cursor !== undefined);
}
