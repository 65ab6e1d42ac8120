/** Reading a part from the bucket to check it: some ranges ahead, so that memory stays flat. */
import { checkRangeAnswer, hinted, isModelGuardError, type RangeSource, rangedPart } from '@org/model-guard/server-kit';
import type { Context } from '../../context.js';
import { notUploaded, type PartBytes } from '../parts.js';
import type { Bucket } from './bucket.js';

export function openObject(bucket: Bucket, object: string, size: number, log: Context['log']): PartBytes {
  const source: RangeSource = {
    size,
    async *stream(offset, length, signal) {
      try {
        const { bytes, ...head } = await bucket.range(object, offset, length, signal as AbortSignal);
        checkRangeAnswer(head, { offset, length, size });
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
  const read = async (offset: number, length: number) => {
    try {
      return await part.read(offset, length);
    } catch (error) {
      if (!(await bucket.isAbsent(error))) throw error;
      log.warn({ err: error, part: object }, 'a part that was stored is gone from the bucket');
      throw notUploaded(object);
    }
  };
  return { size, read, close: () => part.close() };
}
