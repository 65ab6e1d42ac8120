/**
 * A part that was checked is not read again while its bytes are the same. If these fail, publishing again and again costs the server a whole
 * part each time, or bytes that were replaced are published unchecked.
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { FakeS3 } from '../../../test/support/fake-s3.js';
import { publish as publishIntoBucket, startFakeBucketLab } from '../support/bucket-lab.js';
import { outcomeOf } from '../support/outcomes.js';
import type { TestServer } from '../support/server.js';
import { Publisher, startPublisher, type TestContainer } from '../support/story.js';

const SIZE = 300_000;
let server: TestServer;
let publisher: Publisher;

/** How often the server has opened a part to read it, while `task` runs. */
async function readings(task: () => Promise<unknown>): Promise<number> {
  const open = vi.spyOn(server.context.parts, 'open');
  try {
    await task();
    return open.mock.calls.length;
  } finally {
    open.mockRestore();
  }
}
const again =
  (made: TestContainer, expected = '201') =>
  async () =>
    expect(outcomeOf(await publisher.commit(made, { overwrite: true }))).toBe(expected);

describe('a part on the disk', () => {
  let made: TestContainer;
  beforeEach(async () => {
    ({ server, publisher } = await startPublisher());
    made = await publisher.make({ size: SIZE });
    expect(outcomeOf(await publisher.upload(made))).toBe('201');
  });
  afterEach(() => server.close());

  const fileOf = (object: string): string => join(server.folder, 'parts', 'big', object);

  it('is read once, however often and by however many requests at once it is published', async () => {
    expect(await readings(again(made))).toBe(1);
    expect(await readings(() => Promise.all(Array.from({ length: 5 }, again(made))))).toBe(0);
    server = await server.restart();
    publisher = Object.assign(new Publisher(server), { key: publisher.key });
    expect(await readings(again(made))).toBe(0);
  });

  it('keeps its mark while it is checked: publications that begin then leave a young file alone', async () => {
    const before = await server.context.parts.mark(made.bigName);
    await server.context.parts.touch(made.bigName);
    expect(await server.context.parts.mark(made.bigName)).toBe(before);
  });

  it('is read once by publications at the same time', async () => {
    expect(await readings(() => Promise.allSettled(Array.from({ length: 5 }, again(made))))).toBe(1);
  });

  it('is read again after its file was replaced or written to, or its tree is gone', async () => {
    await again(made)();
    rmSync(fileOf(`${made.bigName}.tree`));
    expect(await readings(again(made))).toBe(1);
    writeFileSync(fileOf('other'), made.big);
    renameSync(fileOf('other'), fileOf(made.bigName));
    expect(await readings(again(made))).toBe(1);
    expect(await readings(again(made))).toBe(0);

    const damaged = Buffer.from(made.big);
    damaged[1000] = (damaged[1000] ?? 0) ^ 1;
    writeFileSync(fileOf(made.bigName), damaged);
    expect(await readings(again(made, '409 PARTS_MISMATCH'))).toBe(1);
    // A check that failed is not remembered either.
    expect(await readings(again(made, '409 PARTS_MISMATCH'))).toBe(1);
  });

  it('is read again for another small part', async () => {
    await again(made)();
    const other = Buffer.from(made.small);
    other[other.length - 1] = (other.at(-1) ?? 0) ^ 1;
    expect(await readings(async () => publisher.commit({ ...made, small: other }, { overwrite: true }))).toBe(1);
  });
});

describe('a part in a bucket', () => {
  let s3: FakeS3;
  let close: () => Promise<void>;
  beforeEach(async () => {
    ({ s3, server, publisher, close } = await startFakeBucketLab());
  });
  afterEach(() => close());

  it('is read again when the bucket holds other bytes or no tree', async () => {
    const made = await publishIntoBucket(publisher, { size: SIZE });
    expect(await readings(again(made))).toBe(0);
    s3.objects.delete(`big/${made.bigName}.tree`);
    expect(await readings(again(made))).toBe(1);
    const damaged = Buffer.from(made.big);
    damaged[1000] = (damaged[1000] ?? 0) ^ 1;
    s3.put(`big/${made.bigName}`, damaged);
    expect(await readings(again(made, '409 PARTS_MISMATCH'))).toBe(1);
  });
});
