/** Reading a part from the bucket to check it: some ranges ahead, so that memory stays flat. */
import { checkRangeAnswer, hinted, isModelGuardError, type RangeSource, rangedPart } from '@org/model-guard/server-kit';
import type { PartBytes } from '../parts.js';
import type { Bucket } from './bucket.js';

export function openObject(bucket: Bucket, object: string, size: number): PartBytes {
  const known = {};
  const source: RangeSource = {
    size,
    async *stream(offset, length, signal) {
      try {
        const { bytes, ...head } = await bucket.range(object, offset, length, signal as AbortSignal);
        checkRangeAnswer(head, { offset, length, size }, known);
        yield* bytes;
      } catch (error) {
        if (isModelGuardError(error) && error.code === 'SERVER_UNREACHABLE') hinted(error, { effect: 'undone' });
        throw error;
      }
    },
    // Computed from the bytes, never believed.
    tree: async () => undefined,
  };
  const part = rangedPart(source);
  return { size, read: (offset, length) => part.read(offset, length), close: () => part.close() };
}
