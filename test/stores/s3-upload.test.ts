/** Big parts into a bucket that errs. What fails here publishes half a part, or loses an upload. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { codeOf, failureOf } from '../support/failures.js';
import { type S3Asked, s3Error } from '../support/fake-s3.js';
import { big, bytes, MIB, name, PIECE, part, puts, ref, s3Lab } from '../support/s3-lab.js';
import { temporaryFolder } from '../support/temp.js';

const { server, storeWith, times } = s3Lab();
const stagedFile = path.join(temporaryFolder('s3-upload'), 'staged');
writeFileSync(stagedFile, bytes);
const staged = (text?: string) => {
  const kept = {
    text,
    read: async () => kept.text,
    write: async (now: string) => {
      kept.text = now;
    },
  };
  return kept;
};

describe('an upload', () => {
  const isPiece = ({ method, query }: S3Asked): boolean => method === 'PUT' && query.has('partNumber');
  const isComplete = ({ method, query }: S3Asked): boolean => method === 'POST' && query.has('uploadId');
  const stored = (): boolean => Buffer.compare(server.objects.get(big)?.body ?? Buffer.of(), bytes) === 0;

  it('over a bad line is the same, byte by byte, and the source is read once', async () => {
    let count = 0;
    server.hook = (asked, response) => {
      count += 1;
      if (count % 3 !== 0) return undefined;
      if (count % 2 === 0) return s3Error(503, 'SlowDown');
      if (isComplete(asked)) server.truth(asked);
      response.destroy();
      return 'taken';
    };
    let streams = 0;
    const once = () => {
      streams += 1;
      return part().stream();
    };
    await storeWith({ connections: 2 }).putBig(ref, name, part({ stream: once }));
    expect([stored(), streams, server.uploads.size]).toEqual([true, 1, 0]);
    expect(server.objects.get(`${big}.tree`)?.body.length).toBe(64);
  });

  it('notes its id before the first piece is sent, and goes on after a crash', async () => {
    const notes = staged();
    let whenPiece: string | undefined;
    server.hook = (asked) => {
      if (isPiece(asked)) whenPiece ??= notes.text ?? 'nothing';
      return isPiece(asked) && asked.query.get('partNumber') === '3' ? s3Error(403, 'AccessDenied') : undefined;
    };
    const store = storeWith({ connections: 1 });
    expect(await codeOf(() => store.putBig(ref, name, part({ file: stagedFile, notes })))).toBe('PERMISSION_DENIED');
    const [id] = [...server.uploads.keys()];
    expect(whenPiece).toContain(id);
    server.hook = () => undefined;
    server.asked.length = 0;
    server.pageSize = 1;
    // Another setting meanwhile: pieces stay as they were begun.
    let skipped = 0;
    await storeWith({ pieceBytes: 6 * MIB }).putBig(
      ref,
      name,
      part({ file: stagedFile, notes, skipped: (count) => (skipped += count) }),
    );
    expect([stored(), skipped, server.asked.filter(isPiece).length]).toEqual([true, 2 * PIECE, 2]);
  });

  it.each([
    '',
    'x',
    '{}',
    '{"upload":"","pieceBytes":5242880}',
    '{"upload":"u","pieceBytes":1}',
    '{"guardUpload":"u"}',
    '[]',
    'null',
  ])('takes %j for no notes', async (text) => {
    const two = bytes.subarray(0, PIECE + 1);
    await storeWith().putBig(ref, name, part({ file: stagedFile, notes: staged(text) }, two));
    expect(Buffer.compare(server.objects.get(big)?.body ?? Buffer.of(), two)).toBe(0);
    expect(server.uploads.size).toBe(0);
  });

  it('that is there already is done where it is staged, and refused otherwise', async () => {
    const notes = staged();
    await storeWith().putBig(ref, name, part({ file: stagedFile, notes }));
    server.asked.length = 0;
    let skipped = 0;
    await storeWith().putBig(ref, name, part({ file: stagedFile, notes, skipped: (count) => (skipped += count) }));
    expect([skipped, server.asked.filter(isPiece).length]).toEqual([bytes.length, 0]);
    expect(await codeOf(() => storeWith().putBig(ref, name, part()))).toBe('ALREADY_EXISTS');
    server.put(big, Uint8Array.of(1));
    for (const other of [part(), part({ file: stagedFile, notes })])
      expect(await codeOf(() => storeWith().putBig(ref, name, other))).toBe('IO_FAILED');
  });

  it('is no success where something else came in between', async () => {
    const few = randomBytes(1000);
    times(1, puts, (asked) => {
      server.put(big, Uint8Array.of(1));
      return server.truth(asked);
    });
    expect(await codeOf(() => storeWith().putBig(ref, name, part({}, few)))).toBe('IO_FAILED');
  });

  it('that is taken up again is in use again: its mark begins anew, and none is made', async () => {
    const notes = staged();
    const put = () => storeWith().putBig(ref, name, part({ file: stagedFile, notes }));
    await put();
    const mark = `${big}.unused`;
    await put();
    expect(server.objects.has(mark)).toBe(false);
    server.put(mark, Uint8Array.of(), new Date(0));
    await put();
    expect(server.objects.get(mark)?.modified).toEqual(server.time);
  });

  it('does without its tree, unless it is cancelled', async () => {
    const controller = new AbortController();
    let last = () => {};
    server.hook = ({ method, key }) => {
      if (method !== 'PUT' || !key.endsWith('.tree')) return undefined;
      last();
      return s3Error(403, 'AccessDenied');
    };
    await storeWith().putBig(ref, name, part());
    expect([stored(), server.objects.has(`${big}.tree`)]).toEqual([true, false]);
    last = () => controller.abort();
    server.objects.clear();
    expect(await codeOf(() => storeWith().putBig(ref, name, part(), { signal: controller.signal }))).toBe('ABORT_ERR');
  });

  it('in one request gives up the pieces of an earlier run', async () => {
    const notes = staged();
    const two = bytes.subarray(0, PIECE + 1);
    times(1, isComplete, () => s3Error(403, 'AccessDenied'));
    expect(await codeOf(() => storeWith().putBig(ref, name, part({ file: stagedFile, notes }, two)))).toBe('PERMISSION_DENIED');
    expect(server.uploads.size).toBe(1);
    await storeWith({ pieceBytes: 6 * MIB }).putBig(ref, name, part({ file: stagedFile, notes }, two));
    expect([server.uploads.size, server.objects.get(big)?.body.length]).toEqual([0, two.length]);
  });

  it('whose completion is lost is looked for', async () => {
    times(4, isComplete, (asked, response) => {
      server.truth(asked);
      response.destroy();
      return 'taken';
    });
    await storeWith().putBig(ref, name, part());
    expect(stored()).toBe(true);
  });

  it('that fails is given up, unless it is staged; also when it is cancelled', async () => {
    server.hook = (asked) => (isComplete(asked) ? s3Error(400, 'InvalidPart') : undefined);
    expect(await codeOf(() => storeWith().putBig(ref, name, part()))).toBe('RESPONSE_INVALID');
    expect([server.uploads.size, server.objects.size]).toEqual([0, 0]);
    const controller = new AbortController();
    server.hook = (asked) => {
      if (isPiece(asked)) controller.abort('enough');
      return undefined;
    };
    expect(await failureOf(() => storeWith().putBig(ref, name, part(), { signal: controller.signal }))).toMatchObject({
      code: 'ABORT_ERR',
      cause: 'enough',
    });
    expect(server.uploads.size).toBe(0);
    const notes = staged();
    server.hook = (asked) => (isComplete(asked) ? s3Error(403, 'AccessDenied') : undefined);
    expect(await codeOf(() => storeWith().putBig(ref, name, part({ file: stagedFile, notes })))).toBe('PERMISSION_DENIED');
    expect(server.uploads.size).toBe(1);
    await storeWith().abandonBig?.(ref, name, notes.text ?? '');
    expect(server.uploads.size).toBe(0);
  });

  it('of a part that fits into one request commits nothing of a source that fails at its end', async () => {
    const few = randomBytes(1000);
    const changed = new Error('it changed');
    const failing = part(
      {
        async *stream() {
          yield few;
          throw changed;
        },
      },
      few,
    );
    await expect(storeWith().putBig(ref, name, failing)).rejects.toBe(changed);
    for (const size of [999, 1001])
      expect(await codeOf(() => storeWith().putBig(ref, name, part({ size }, few)))).toBe('IO_FAILED');
    expect(server.objects.size).toBe(0);
    times(1, puts, (asked, response) => {
      server.truth(asked);
      response.destroy();
      return 'taken';
    });
    await storeWith().putBig(ref, name, part({}, few));
    expect(Buffer.compare(server.objects.get(big)?.body ?? Buffer.of(), few)).toBe(0);
  });
});
