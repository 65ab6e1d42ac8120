/**
 * Big parts in a bucket: uploaded in pieces, continued after a crash, checked, leased, and removed once no version names them.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListMultipartUploadsCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { load, protect } from '@org/model-guard';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { s3Client } from '../../../test/support/services.js';
import { collectParts } from '../../src/parts/collect.js';
import { partUrls } from '../../src/parts/part-url.js';
import { Bucket } from '../../src/parts/s3/bucket.js';
import {
  abort,
  type BucketLab,
  begin,
  beginPieces,
  complete,
  numbersOf,
  PIECE,
  publish,
  send,
  startBucketLab,
  THREE_PIECES,
  upload,
  urlsOf,
} from '../support/bucket-lab.js';
import { clientOf, readyDevice } from '../support/clients.js';
import { outcomeOf } from '../support/outcomes.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { entitle, Machine, type Publisher, type TestContainer, takeLease } from '../support/story.js';

const HOUR = 3600;
let lab: BucketLab;
let server: TestServer;
let admin: Publisher;
let owner: S3Client;
let made: TestContainer;
let count = 0;
beforeAll(async () => {
  lab = await startBucketLab({ s3Prefix: 'models' });
  ({ server, publisher: admin } = lab);
  owner = s3Client(lab.bucket, lab.bucket.owner);
});
const start = Math.floor(Date.now() / 1000);
afterEach(() => {
  server.clock.now = start;
});
afterAll(async () => {
  owner.destroy();
  await lab.close();
});

/** The objects of the bucket. */
async function objects(): Promise<string[]> {
  const { Contents = [] } = await owner.send(new ListObjectsV2Command({ Bucket: lab.bucket.bucket }));
  return Contents.map(({ Key = '' }) => Key);
}
/** Uploads that are open in the bucket. */
async function uploads(): Promise<string[]> {
  const { Uploads = [] } = await owner.send(new ListMultipartUploadsCommand({ Bucket: lab.bucket.bucket }));
  return Uploads.map(({ Key = '' }) => Key);
}
const keyOf = ({ bigName }: TestContainer): string => `models/big/${bigName}`;
const row = (bigName: string) =>
  server.context.db.selectFrom('uploads').selectAll().where('part', '=', bigName).executeTakeFirst();
/** Sets the row to the state that a crash leaves. */
const change = (bigName: string, values: { state?: 'open' | 'removing'; storage_id?: string }) =>
  server.context.db.updateTable('uploads').set(values).where('part', '=', bigName).execute();

describe('an upload', () => {
  beforeEach(async () => {
    made = await admin.make({ version: `v${count++}`, size: THREE_PIECES });
  });

  it('goes in pieces, and what is published is what a lease leads to', async () => {
    const { upload: id, pieceBytes, present } = await beginPieces(admin, made);
    expect({ pieceBytes, present }).toEqual({ pieceBytes: PIECE, present: [] });
    await send(admin, id, made, numbersOf(made));
    expect((await complete(admin, id)).json()).toEqual({ name: made.bigName, size: made.big.length });
    expect((await complete(admin, id)).json()).toEqual({ name: made.bigName, size: made.big.length });
    expect((await begin(admin, made)).json()).toEqual({ kind: 'stored' });
    expect(outcomeOf(await admin.commit(made))).toBe('201');
    expect(await uploads()).toEqual([]);

    await entitle(server, 'operator', { seats: 9 });
    const machine = await Machine.ready(server);
    const grant = await takeLease(machine);
    const [part, tree] = await Promise.all([fetch(grant.big.url), fetch(grant.big.treeUrl ?? '')]);
    expect(part.headers.get('cache-control')).toContain('immutable');
    const big = new Uint8Array(await part.arrayBuffer());
    expect(Buffer.compare(big, made.big)).toBe(0);
    expect(new Uint8Array(await tree.arrayBuffer())).toEqual(made.tree);
    expect(Buffer.compare(await machine.open(server, grant, big, admin.key), made.plain)).toBe(0);
  });

  it('goes on where it was broken off, and is not complete before', async () => {
    const { upload: id } = await beginPieces(admin, made);
    await send(admin, id, made, [2]);
    expect(await beginPieces(admin, made)).toMatchObject({ upload: id, present: [{ number: 2, size: PIECE }] });
    const early = await complete(admin, id);
    expect(outcomeOf(early)).toBe('400 INVALID_ARGUMENT');
    expect(early.json().error.message).toContain('2 of 3');
    await send(admin, id, made, [1, 3]);
    expect(outcomeOf(await complete(admin, id))).toBe('200');
  });

  it('has no pieces but its own', async () => {
    const { upload: id } = await beginPieces(admin, made);
    expect(outcomeOf(await urlsOf(admin, id, [1, 4]))).toBe('400 INVALID_ARGUMENT');
    expect(outcomeOf(await urlsOf(admin, id, [0]))).toBe('400 INVALID_ARGUMENT');
    expect(outcomeOf(await urlsOf(admin, '0'.repeat(32), [1]))).toBe('404 NOT_FOUND');
  });

  it('is one, however often it is begun at the same time', async () => {
    const ids = (await Promise.all([beginPieces(admin, made), beginPieces(admin, made), beginPieces(admin, made)])).map(
      ({ upload }) => upload,
    );
    expect(new Set(ids).size).toBe(1);
    expect((await uploads()).filter((key) => key === keyOf(made))).toHaveLength(1);
  });

  it('stands for one size', async () => {
    await beginPieces(admin, made);
    expect(outcomeOf(await begin(admin, made, made.big.length - 1))).toBe('409 ALREADY_EXISTS');
    await upload(admin, made);
    expect(outcomeOf(await begin(admin, made, made.big.length - 1))).toBe('409 ALREADY_EXISTS');
  });

  it("is its publisher's and of those who decide about versions", async () => {
    const [operator, uploader, validator] = [lab.as('operator'), lab.as('resourceUploader'), lab.as('validator')];
    const { upload: id } = await beginPieces(operator, made);
    for (const refused of [
      await begin(uploader, made),
      await urlsOf(uploader, id, [1]),
      await complete(uploader, id),
      await abort(uploader, id),
    ])
      expect(outcomeOf(refused)).toBe('403 NOT_AUTHORISED');
    expect((await beginPieces(validator, made)).upload).toBe(id);
    expect(outcomeOf(await abort(validator, id))).toBe('204');
  });

  it('leaves nothing when it is given up', async () => {
    const { upload: id } = await beginPieces(admin, made);
    await send(admin, id, made, [1]);
    const [late] = (await urlsOf(admin, id, [2])).json().urls;
    expect(outcomeOf(await abort(admin, id))).toBe('204');
    expect(await uploads()).not.toContain(keyOf(made));
    expect(await row(made.bigName)).toBeUndefined();
    for (const gone of [await complete(admin, id), await urlsOf(admin, id, [1]), await abort(admin, id)])
      expect(outcomeOf(gone)).toBe('404 NOT_FOUND');
    expect((await fetch(late.url, { method: 'PUT', body: Buffer.alloc(PIECE) })).status).toBe(404);
    const again = await upload(admin, made);
    expect(again).not.toBe(id);
    expect(outcomeOf(await abort(admin, again))).toBe('400 INVALID_ARGUMENT');
  });

  it('is begun anew where the bucket lost it', async () => {
    const { upload: id } = await beginPieces(admin, made);
    await send(admin, id, made, [1]);
    const before = (await row(made.bigName))?.storage_id;
    await server.context.parts.abort({ account: server.accounts.admin } as never, id, async () => undefined);
    await server.context.db.deleteFrom('uploads').where('part', '=', made.bigName).execute();
    const { upload: lost } = await beginPieces(admin, made);
    await change(made.bigName, { storage_id: before ?? '' });
    expect(outcomeOf(await complete(admin, lost))).toBe('404 NOT_FOUND');
    expect(await beginPieces(admin, made)).toMatchObject({ upload: lost, present: [] });
    await upload(admin, made);
  });

  it('that was put together, but not written down as such by a server that crashed, is stored', async () => {
    const id = await upload(admin, made);
    await change(made.bigName, { state: 'open' });
    expect(outcomeOf(await complete(admin, id))).toBe('200');
    await change(made.bigName, { state: 'open' });
    expect((await begin(admin, made)).json()).toEqual({ kind: 'stored' });
    expect(outcomeOf(await admin.commit(made))).toBe('201');
  });

  it('that the bucket knows and no row is cleaned up a day later', async () => {
    await beginPieces(admin, made);
    await change(made.bigName, { storage_id: '' });
    const { upload: id } = await beginPieces(admin, made);
    expect((await uploads()).filter((key) => key === keyOf(made))).toHaveLength(2);
    server.clock.advance(25 * HOUR);
    await urlsOf(admin, id, [1]);
    await collectParts(server.context);
    expect((await uploads()).filter((key) => key === keyOf(made))).toHaveLength(1);
    await upload(admin, made);
  });

  it('is written down in the audit log with its outcome', async () => {
    const id = await upload(admin, made);
    await abort(lab.as('operator'), id);
    const events = server.context.db.selectFrom('audit').select(['resource', 'outcome']).where('action', '=', 'models.upload');
    const seen = await events.where('resource', 'in', [`part:${made.bigName}`, `upload:${id}`]).execute();
    expect(seen).toEqual([
      { resource: `part:${made.bigName}`, outcome: 'success' },
      { resource: `part:${made.bigName}`, outcome: 'success' },
      { resource: `upload:${id}`, outcome: 'denied' },
    ]);
  });

  it('is not over before that is written down', async () => {
    const { upload: id } = await beginPieces(admin, made);
    await send(admin, id, made, numbersOf(made));
    const removed = vi.spyOn(Bucket.prototype, 'remove');
    const append = vi.spyOn(server.context.audit, 'append').mockRejectedValue(new Error('no room'));
    try {
      expect(outcomeOf(await abort(admin, id))).toMatch(/^500 /);
      expect(removed).not.toHaveBeenCalled();
      expect(outcomeOf(await complete(admin, id))).toMatch(/^500 /);
      expect((await row(made.bigName))?.state).toBe('open');
    } finally {
      append.mockRestore();
      removed.mockRestore();
    }
    expect(outcomeOf(await complete(admin, id))).toBe('200');
    const events = server.context.db.selectFrom('audit').select('outcome').where('resource', '=', `part:${made.bigName}`);
    expect(await events.execute()).toHaveLength(2);
  });
});

describe('a part', () => {
  beforeEach(async () => {
    made = await admin.make({ version: `p${count++}` });
  });

  it('of no bytes is there at once', async () => {
    const empty = { ...made, bigName: `${'e'.repeat(32)}-1000`, big: new Uint8Array() };
    expect((await begin(admin, empty)).json()).toEqual({ kind: 'stored' });
    expect((await begin(admin, empty)).json()).toEqual({ kind: 'stored' });
    expect(await objects()).toContain(keyOf(empty));
    expect(outcomeOf(await begin(admin, empty, 1))).toBe('409 ALREADY_EXISTS');
  });

  it('with other bytes than the small part says is not published', async () => {
    const big = made.big.slice();
    big[70_000] = (big[70_000] ?? 0) ^ 1;
    await upload(admin, { ...made, big });
    expect(outcomeOf(await admin.commit(made))).toMatch(/^409 /);
    expect(await objects()).not.toContain(`${keyOf(made)}.tree`);
  });

  it('is not published before it is complete', async () => {
    const { upload: id } = await beginPieces(admin, made);
    await send(admin, id, made, [1]);
    expect(outcomeOf(await admin.commit(made))).toBe('404 NOT_FOUND');
  });

  it('goes to the bucket and comes from there, not through this server', async () => {
    expect(outcomeOf(await admin.upload(made))).toBe('400 INVALID_ARGUMENT');
    const { url } = await partUrls(server.context).sign(made.bigName);
    const answer = await server.app.inject({ url: url.slice(server.config.publicUrl.length) });
    expect(outcomeOf(answer)).toBe('404 NOT_FOUND');
    expect(answer.json().error.message).toContain('bucket');
  });
});

describe('collecting', () => {
  it('removes what no version names, a day later, with its tree and its row', async () => {
    const kept = await publish(admin, { version: 'kept' });
    const replaced = await publish(admin, { version: 'replaced' });
    const abandoned = await admin.make({ version: 'abandoned', size: THREE_PIECES });
    const { upload: open } = await beginPieces(admin, abandoned);
    await send(admin, open, abandoned, [1]);
    server.clock.advance(23 * HOUR);
    const next = await admin.make({ version: 'replaced' });
    await upload(admin, next);
    expect(outcomeOf(await admin.commit(next, { overwrite: true }))).toBe('201');
    server.clock.advance(2 * HOUR);
    // The version was replaced two hours ago: leases of the old one go on.
    expect(await collectParts(server.context)).not.toContain(`big/${replaced.bigName}`);
    expect(await uploads()).not.toContain(keyOf(abandoned));
    server.clock.advance(23 * HOUR);
    expect(await collectParts(server.context)).toContain(`big/${replaced.bigName}`);
    const left = await objects();
    expect(left).toContain(keyOf(kept));
    expect(left).toContain(`${keyOf(kept)}.tree`);
    expect(left).toContain(keyOf(next));
    expect(left).not.toContain(keyOf(replaced));
    expect(left).not.toContain(`${keyOf(replaced)}.tree`);
    for (const gone of [replaced, abandoned]) expect(await row(gone.bigName)).toBeUndefined();
  });

  it('ends a removal that a crash broke off, and refuses uses meanwhile', async () => {
    const part = await admin.make({ version: 'half-removed' });
    const id = await upload(admin, part);
    await change(part.bigName, { state: 'removing' });
    expect(outcomeOf(await begin(admin, part))).toBe('409 ALREADY_EXISTS');
    expect(outcomeOf(await complete(admin, id))).toBe('404 NOT_FOUND');
    expect(outcomeOf(await admin.commit(part))).toBe('404 NOT_FOUND');
    // The process that began it may be alive for an hour.
    server.clock.advance(HOUR + 1);
    await collectParts(server.context);
    server.clock.now = start;
    expect(await objects()).not.toContain(keyOf(part));
    await upload(admin, part);
    expect(outcomeOf(await admin.commit(part))).toBe('201');
  });
});

it('is where the SDK publishes to and loads from', async () => {
  await server.listen();
  const source = join(server.folder, 'net.onnx');
  const plain = randomBytes(THREE_PIECES);
  writeFileSync(source, plain);
  const to = clientOf(server, { role: 'admin' });
  await to.publishers.set('net', [admin.key.publicKey]);
  await protect(source, { name: 'net', version: '1', signer: admin.key, to });
  await entitle(server, 'operator', { name: 'net' });
  const { guard } = await readyDevice(server, { publishers: { net: admin.key.publicKey } });
  using model = await load('net@1', { from: guard, cache: false });
  expect(Buffer.compare(model.bytes, plain)).toBe(0);
  expect(await objects()).toContain(`models/big/${(await to.models.get('net@1')).bigName}`);
});

it('says that the storage is away, and to the log without any key or address', async () => {
  const away = await startTestServer({
    config: { s3Bucket: 'nowhere', s3Endpoint: 'http://127.0.0.1:9', secretsFolder: server.config.secretsFolder },
  });
  const params = { name: 'defects', version: '1', part: `${'0'.repeat(32)}-56` };
  const answer = await away.request('admin', 'beginUpload', { params, body: { size: 5 } });
  expect(outcomeOf(answer)).toBe('503 SERVER_FAILED');
  const log = away.lines.join('');
  expect(log).toContain('HeadObject');
  for (const secret of [lab.bucket.read.id, lab.bucket.write.id, 'X-Amz-Signature', 'AWS4-HMAC'])
    expect(log).not.toContain(secret);
  away.secrets.text('the secret of the write pair', lab.bucket.write.secret);
  await away.close();
});
