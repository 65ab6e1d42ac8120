/** Reads a part from the bucket for its check, a few ranges ahead, so that memory stays flat. */
import type { Context } from '../../context.js';
import { notUploaded, type PartBytes } from '../parts.js';
import type { Bucket } from './bucket.js';
import { bucketFailure } from './failures.js';

export function openObject(bucket: Bucket, object: string, size: number, log: Context['log']): PartBytes {
  const part = bucket.open(object, size);
  const read = async (offset: number, length: number) => {
    try {
      return await part.read(offset, length);
    } catch (error) {
      const failure = bucketFailure('GetObject', error);
      if (!(await bucket.isAbsent(failure))) throw failure;
      log.warn({ err: failure, part: object }, 'a part that was stored is gone from the bucket');
      throw notUploaded(object);
    }
  };
  return { size, read, close: () => part.close() };
}
