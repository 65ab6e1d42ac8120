/**
 * One answer of a bucket for two facts: 403 is said of what is not there, where keys may not list, and of what may not be read. If these
 * fail, a server whose reading keys are refused takes complete parts for lost ones.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeS3, s3Error } from '../../../../test/support/fake-s3.js';
import { begin, beginPieces, complete, numbersOf, READER, send, startFakeBucketLab } from '../../support/bucket-lab.js';
import { outcomeOf } from '../../support/outcomes.js';
import type { TestServer } from '../../support/server.js';
import type { Publisher } from '../../support/story.js';

const SIZE = 300_000;

let s3: FakeS3;
let close: () => Promise<void>;
let server: TestServer;
let publisher: Publisher;
/** Answers to the reading keys: `unlisted`, 403 for missing objects; `refused`, 403 for every object. */
let reader: 'unlisted' | 'refused' | 'listed';

beforeEach(async () => {
  reader = 'unlisted';
  const lab = await startFakeBucketLab((fake) => ({ keyId, key }) => {
    if (keyId !== READER || reader === 'listed') return undefined;
    return reader === 'refused' || !fake.objects.has(key) ? s3Error(403, 'AccessDenied') : undefined;
  });
  ({ s3, server, publisher, close } = lab);
});
afterEach(() => close());

const ready = async (): Promise<number> => (await server.request(undefined, 'ready')).statusCode;
/** A part that is complete, and that no version names yet. */
async function stored(version: string) {
  const made = await publisher.make({ version, size: SIZE });
  const { upload } = await beginPieces(publisher, made);
  await send(publisher, upload, made, numbersOf(made));
  expect(outcomeOf(await complete(publisher, upload))).toBe('200');
  return made;
}
const kindOf = async (made: Awaited<ReturnType<typeof stored>>): Promise<string> => {
  const answer = await begin(publisher, made);
  return answer.statusCode < 300 ? answer.json().kind : outcomeOf(answer);
};

describe.each(['unlisted', 'listed'] as const)('keys that read, %s', (which) => {
  it('are told what is there and what is not', async () => {
    reader = which;
    const made = await stored('1');
    expect(await kindOf(made)).toBe('stored');
    s3.objects.delete(`big/${made.bigName}`);
    // In pieces again: it is gone, and that is proved.
    expect(await kindOf(made)).toBe('pieces');
    expect(outcomeOf(await publisher.commit(made))).toBe('404 NOT_FOUND');
    expect(await ready()).toBe(200);
  });
});

describe('keys that read, refused', () => {
  it('leave a complete part as it is, and what is published is not taken for lost', async () => {
    const made = await stored('1');
    reader = 'refused';
    expect(await kindOf(made)).toBe('500 SERVER_FAILED');
    const before = s3.asked.length;
    expect(outcomeOf(await publisher.commit(made))).toBe('500 SERVER_FAILED');
    expect(s3.asked.slice(before).some(({ method }) => method === 'POST')).toBe(false);
    const refused = server.logged.find(({ msg }) => msg === 'failed') as { err: { message: string } };
    expect(refused.err.message).toContain('refuses HeadObject with status 403');
    expect(refused.err.message).toMatch(/HeadObject: 403.*, request request-1/);
    reader = 'unlisted';
    expect(await kindOf(made)).toBe('stored');
    expect(outcomeOf(await publisher.commit(made))).toBe('201');
  });

  it('make the server not ready, until they read again', async () => {
    reader = 'refused';
    expect(await ready()).toBe(500);
    reader = 'unlisted';
    // The last answer counts for some seconds, in this process alone.
    expect(await ready()).toBe(500);
    server = await server.restart();
    expect(await ready()).toBe(200);
  });

  it('are known to be so where the bucket has just lost everything', async () => {
    expect(await ready()).toBe(200);
    s3.objects.clear();
    const made = await publisher.make({ version: '1', size: SIZE });
    expect(await kindOf(made)).toBe('pieces');
    reader = 'refused';
    s3.objects.clear();
    expect(await kindOf(await publisher.make({ version: '2', size: SIZE }))).toBe('500 SERVER_FAILED');
  });
});

it('a bucket that is not there holds nothing back from the leases, and loses no part', async () => {
  const made = await stored('1');
  s3.hook = () => s3Error(503, 'SlowDown');
  expect(await ready()).toBe(200);
  expect((await begin(publisher, made)).statusCode).toBe(503);
  s3.hook = () => s3Error(404, 'NoSuchBucket');
  expect(await kindOf(made)).toBe('500 SERVER_FAILED');
});
