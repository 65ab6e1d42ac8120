/**
 * Differences between bucket and database: objects without rows, as after a copy or an older backup, and rows whose object is
 * gone.
 */
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { s3Client } from '../../../test/support/services.js';
import { collectParts } from '../../src/parts/collect.js';
import { abort, type BucketLab, begin, beginPieces, publish, send, startBucketLab, upload } from '../support/bucket-lab.js';
import { outcomeOf } from '../support/outcomes.js';
import type { TestServer } from '../support/server.js';
import { entitle, Machine, type Publisher, type TestContainer, takeLease } from '../support/story.js';

const HOUR = 3600;
let lab: BucketLab;
let server: TestServer;
let admin: Publisher;
let uploader: Publisher;
let owner: S3Client;
let reader: S3Client;
let made: TestContainer;
let count = 0;
beforeAll(async () => {
  lab = await startBucketLab();
  ({ server, publisher: admin } = lab);
  uploader = lab.as('resourceUploader');
  owner = s3Client(lab.bucket, lab.bucket.owner);
  reader = s3Client(lab.bucket, lab.bucket.read);
});
const start = Math.floor(Date.now() / 1000);
afterEach(() => {
  server.clock.now = start;
});
afterAll(async () => {
  for (const client of [owner, reader]) client.destroy();
  await lab.close();
});

const at = ({ bigName }: TestContainer) => ({ Bucket: lab.bucket.bucket, Key: `big/${bigName}` });
/** Uploads an object by other tools. */
const copy = (part: TestContainer) => owner.send(new PutObjectCommand({ ...at(part), Body: part.big }));
const lose = (part: TestContainer) => owner.send(new DeleteObjectCommand(at(part)));
const bytesOf = async (part: TestContainer): Promise<Uint8Array> =>
  (await (await reader.send(new GetObjectCommand(at(part)))).Body?.transformToByteArray()) ?? new Uint8Array();
const expectUnchanged = async (part: TestContainer) => expect(Buffer.compare(await bytesOf(part), part.big)).toBe(0);
const forget = ({ bigName }: TestContainer) => server.context.db.deleteFrom('uploads').where('part', '=', bigName).execute();
const row = ({ bigName }: TestContainer) =>
  server.context.db.selectFrom('uploads').select(['id', 'state']).where('part', '=', bigName).executeTakeFirst();

describe('an object that no row tells of', () => {
  it('is stored where it is as long as the part, and can be published', async () => {
    made = await admin.make({ version: `s${count++}` });
    await copy(made);
    expect((await begin(uploader, made)).json()).toEqual({ kind: 'stored' });
    expect((await begin(uploader, made)).json()).toEqual({ kind: 'stored' });
    expect(outcomeOf(await admin.commit(made))).toBe('201');
    await expectUnchanged(made);
  });

  it('is no publisher’s to replace: not by another length, and not by none', async () => {
    made = await admin.make({ version: `s${count++}` });
    await copy(made);
    for (const size of [0, made.big.length - 1, made.big.length + 1])
      expect(outcomeOf(await begin(uploader, made, size))).toBe('409 ALREADY_EXISTS');
    await expectUnchanged(made);
    expect(await row(made)).toBeUndefined();
  });

  it('of a version stays for good, with the tree that its leases lead to', async () => {
    made = await publish(admin, { version: `s${count++}` });
    await forget(made);
    expect(outcomeOf(await begin(uploader, made, 0))).toBe('409 ALREADY_EXISTS');
    expect((await begin(uploader, made)).json()).toEqual({ kind: 'stored' });
    server.clock.advance(25 * HOUR);
    await collectParts(server.context);
    await expectUnchanged(made);
    await entitle(server, 'operator', { seats: 9 });
    const { big } = await takeLease(await Machine.ready(server));
    server.clock.now = start;
    expect(big.url).toContain(made.bigName);
    expect(big.treeUrl).toBeDefined();
  });
});

describe('a part that a version names', () => {
  beforeEach(async () => {
    made = await publish(admin, { version: `s${count++}` });
  });

  it('is not given up with an upload that an older database has as open', async () => {
    await server.context.db.updateTable('uploads').set({ state: 'open' }).where('part', '=', made.bigName).execute();
    const found = await row(made);
    expect(outcomeOf(await abort(admin, found?.id ?? ''))).toBe('400 INVALID_ARGUMENT');
    await expectUnchanged(made);
  });

  it('cannot be uploaded where it is in no bucket yet', async () => {
    await forget(made);
    await lose(made);
    for (const size of [0, made.big.length]) expect(outcomeOf(await begin(uploader, made, size))).toBe('409 ALREADY_EXISTS');
    expect(await row(made)).toBeUndefined();
  });
});

describe('a stored part whose object is gone', () => {
  beforeEach(async () => {
    made = await admin.make({ version: `s${count++}` });
    await upload(uploader, made);
    await lose(made);
  });

  it('is missing for its publisher', async () => {
    expect(outcomeOf(await admin.commit(made))).toBe('404 NOT_FOUND');
  });

  it('is uploaded again by its uploader', async () => {
    expect(outcomeOf(await begin(lab.as('operator'), made))).toBe('403 NOT_AUTHORISED');
    const [{ upload: one }, { upload: other }] = await Promise.all([beginPieces(uploader, made), beginPieces(uploader, made)]);
    expect(one).toBe(other);
    await send(uploader, one, made, [1]);
    expect(await beginPieces(uploader, made)).toMatchObject({ present: [{ number: 1 }] });
    await upload(uploader, made);
    expect((await begin(uploader, made)).json()).toEqual({ kind: 'stored' });
    expect(outcomeOf(await admin.commit(made))).toBe('201');
  });

  it('is not replaced by an object of another length that was put there', async () => {
    await copy({ ...made, big: made.big.subarray(1) });
    expect(outcomeOf(await begin(uploader, made))).toBe('409 ALREADY_EXISTS');
  });
});
