/** Big parts over the wire, both ways. What fails here publishes half a model, or blames a model for what the network did. */
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type BigPartSource, load, ModelGuardError, type OpenBigPart } from '../../src/index.js';
import { codeOf, failureOf } from '../support/failures.js';
import { type FakeClient, fakeClient } from '../support/fake-client.js';
import { type Asked, FakeGuard, failure, type Handler, type Model, type Reply } from '../support/fake-guard.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('parts');
const random = seeded('parts');
const fake = new FakeGuard();
const ref = { name: 'net', version: '1' };
let model: Model;
let folders = 0;
beforeAll(async () => {
  await fake.listen();
  model = await fake.publish('net', '1', 1, random.bytes(2_000_000));
});
afterAll(() => fake.close());
const start = fake.now;
afterEach(() => {
  fake.restore();
  fake.now = start;
});

const client = (more = {}): FakeClient => fakeClient(fake, { state: path.join(base, `state-${folders++}`), ...more });
async function opened(one = client()): Promise<OpenBigPart> {
  await one.guard.getSmall(ref);
  return await one.guard.openBig(ref, model.bigName);
}
/** The bytes [offset, offset + length), in one piece. */
const read = async (part: OpenBigPart, offset: number, length: number): Promise<Buffer> =>
  Buffer.concat([await part.read(offset, length)].flat());
const truth = async (asked: Asked): Promise<Reply> => await fake.usual(asked);

describe('reading', () => {
  it('gives exactly what was asked for, from anywhere', async () => {
    const part = await opened();
    const { big } = model;
    for (const [offset, length] of [
      [0, 1],
      [0, 0],
      [big.length - 1, 1],
      [0, big.length],
      [12_345, 1_048_632],
    ] as const)
      expect(Buffer.compare(await read(part, offset, length), big.subarray(offset, offset + length))).toBe(0);
    const many = Array.from({ length: 40 }, () => random.integer(big.length - 1000));
    await Promise.all(
      many.map(async (at) => expect(Buffer.compare(await read(part, at, 1000), big.subarray(at, at + 1000))).toBe(0)),
    );
    expect(fake.asked.filter(({ name }) => name === 'readPart').every(({ headers }) => headers.authorization === undefined)).toBe(
      true,
    );
  });

  const ranged =
    (range: string, change = (bytes: Uint8Array): Uint8Array => bytes): Handler =>
    async (asked) => {
      const { bytes = new Uint8Array(), ...rest } = await truth(asked);
      return { ...rest, bytes: change(bytes), headers: { 'content-range': range } };
    };
  const encoded =
    (coding: string): Handler =>
    async (asked) => {
      const reply = await truth(asked);
      return { ...reply, headers: { ...reply.headers, 'content-encoding': coding } };
    };
  /** The part is smaller than a range: it is asked for as a whole. */
  const right = (): string => `bytes 0-${model.big.length - 1}/${model.big.length}`;

  it.each<[string, () => Handler]>([
    ['another range', () => ranged(`bytes 1-${model.big.length}/${model.big.length}`)],
    ['another size', () => ranged(`bytes 0-${model.big.length - 1}/${model.big.length + 1}`)],
    ['another unit', () => ranged(`pages 0-${model.big.length - 1}/${model.big.length}`)],
    ['a compression', () => encoded('gzip')],
    ['a compression among others', () => encoded('identity, BR')],
    ['no range', () => ranged('')],
    ['too few bytes', () => ranged(right(), (bytes) => bytes.slice(1))],
    ['too many bytes', () => ranged(right(), (bytes) => Uint8Array.from([...bytes, 0]))],
    ['nothing', () => () => ({ status: 206, headers: { 'content-range': right() } })],
    ['a redirect', () => () => ({ status: 307, headers: { location: 'http://127.0.0.1:1' } })],
  ])('refuses %s', async (_, handler) => {
    const part = await opened();
    fake.on('readPart', handler());
    expect(await codeOf(() => part.read(100, 100))).toBe('RESPONSE_INVALID');
  });

  it.each<[string, () => Handler]>([
    ['a size that is not told', () => ranged(`bytes 0-${model.big.length - 1}/*`)],
    ['a unit in capitals', () => ranged(`Bytes 0-${model.big.length - 1}/${model.big.length}`)],
    ['a range with the sign of the request', () => ranged(`bytes=0-${model.big.length - 1}/${model.big.length}`)],
    ...['', 'Identity', 'none', 'binary', 'utf-8', 'aws-chunked'].map((coding): [string, () => Handler] => [
      `the encoding '${coding}'`,
      () => encoded(coding),
    ]),
  ])('takes %s', async (_, handler) => {
    const part = await opened();
    fake.on('readPart', handler());
    expect(Buffer.compare(await read(part, 100, 100), model.big.subarray(100, 200))).toBe(0);
  });

  it.each(['gzip', 'br'])('asks again after an error whose page is packed with %s', async (coding) => {
    const part = await opened();
    for (const status of [503, 429])
      fake.times(1, 'readPart', () => ({ status, bytes: Buffer.from('packed'), headers: { 'content-encoding': coding } }));
    expect(Buffer.compare(await read(part, 100, 100), model.big.subarray(100, 200))).toBe(0);
  });

  it.each([403, 404, 407])('asks again after a page with status %i, which is none of its storage’s own', async (status) => {
    const part = await opened();
    const page = { status, bytes: Buffer.from('<html>'), headers: { 'content-type': 'text/html' } };
    // One for the address, and one for the next one.
    fake.times(2, 'readPart', () => page);
    expect(Buffer.compare(await read(part, 100, 100), model.big.subarray(100, 200))).toBe(0);
  });

  it('takes the whole part for the whole range', async () => {
    const part = await opened();
    fake.on('readPart', () => ({ status: 200, bytes: model.big }));
    expect(Buffer.compare(await read(part, 0, part.size), model.big)).toBe(0);
  });

  it('says what is not there', async () => {
    const part = await opened();
    fake.on('readPart', () => ({ status: 404, bytes: Buffer.from('<html>') }));
    expect(await codeOf(() => part.read(100, 100))).toBe('NOT_FOUND');
  });

  it('is taken up again where it broke off', async () => {
    const part = await opened();
    fake.times(1, 'readPart', (_, response) => {
      response.writeHead(206, { 'content-range': right(), 'content-length': model.big.length });
      response.write(model.big.subarray(0, 1000), () => response.destroy());
      return undefined;
    });
    expect(Buffer.compare(await read(part, 0, 2000), model.big.subarray(0, 2000))).toBe(0);
    const ranges = fake.asked.filter(({ name }) => name === 'readPart').map(({ headers }) => headers.range);
    expect(ranges.slice(-2)).toEqual([`bytes=0-${model.big.length - 1}`, `bytes=1000-${model.big.length - 1}`]);
  });

  it('renews an address that is over once, whoever notices, and believes the second refusal', async () => {
    const part = await opened();
    let over = true;
    fake.on('takeLease', async (asked) => {
      over = false;
      return await truth(asked);
    });
    const before = fake.count('takeLease');
    fake.on('readPart', async (asked) => (over ? failure(403, 'NOT_AUTHORISED') : await truth(asked)));
    await Promise.all([1, 2, 3, 4].map((at) => part.read(at * 1000, 10)));
    expect(fake.count('takeLease')).toBe(before + 1);
    fake.on('readPart', () => failure(403, 'NOT_AUTHORISED'));
    expect(await codeOf(() => part.read(1000, 10))).toBe('PERMISSION_DENIED');
    expect(fake.count('takeLease')).toBe(before + 2);
  });

  it('waits for a server that is away for one renewal, and not for one that stays away', async () => {
    const part = await opened();
    const away: Handler = (_, response) => {
      response.destroy();
      return undefined;
    };
    fake.now += 1000;
    const before = fake.count('takeLease');
    fake.times(1, 'takeLease', away);
    expect(Buffer.compare(await read(part, 0, 2000), model.big.subarray(0, 2000))).toBe(0);
    expect(fake.count('takeLease') - before).toBe(2);
    const other = await opened();
    fake.now += 1000;
    fake.on('takeLease', away);
    expect(await codeOf(() => other.read(0, 10))).toBe('SERVER_UNREACHABLE');
  });

  it('asks for no lease with every read because its clock is ahead of the server’s', async () => {
    fake.on('takeLease', async (asked) => {
      const { json, ...rest } = await truth(asked);
      const { big, ...grant } = json as { big: object };
      return { ...rest, json: { ...grant, big: { ...big, expires: fake.now - 60 } } };
    });
    const part = await opened();
    const before = fake.count('takeLease');
    for (const at of [1, 2, 3, 4]) await part.read(at * 1000, 10);
    expect(fake.count('takeLease')).toBeLessThanOrEqual(before + 1);
  });

  it('does not go on with another publication', async () => {
    const part = await opened();
    const other = new FakeGuard();
    const again = await other.publish('net', '1', 2, random.bytes(1000));
    fake.now += 1000;
    fake.on('takeLease', async ({ json }) => {
      const asked = json as { device: string; name: string; version: string };
      const grant = await fake.grant(asked, fake.devices.get(asked.device) ?? '');
      const big = { ...(grant.big as object), name: again.bigName, size: again.big.length };
      return { status: 201, json: { ...grant, big } };
    });
    expect(await codeOf(() => part.read(0, 10))).toBe('RESPONSE_INVALID');
  });

  it('ends with the signal of whoever reads', async () => {
    const part = await opened();
    const controller = new AbortController();
    fake.on('readPart', () => {
      setImmediate(() => controller.abort('enough'));
      return undefined;
    });
    expect(await failureOf(() => part.read(0, 10, { signal: controller.signal }))).toMatchObject({
      code: 'ABORT_ERR',
      cause: 'enough',
    });
  });

  it('of bytes that were changed is noticed by whoever decrypts', async () => {
    fake.on('readPart', async (asked) => {
      const reply = await truth(asked);
      const bytes = Uint8Array.from(reply.bytes ?? []);
      bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
      return { ...reply, bytes };
    });
    expect(['INTEGRITY_FAILED', 'PARTS_MISMATCH', 'DIGEST_MISMATCH']).toContain(
      await codeOf(() => load('net@1', { from: client().guard })),
    );
  });
});

describe('uploading', () => {
  const bytes = random.bytes(5_000_000);
  const source = (more: Partial<BigPartSource> = {}): BigPartSource => ({
    size: bytes.length,
    stream: async function* () {
      for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
    },
    tree: () => bytes.subarray(0, 3000),
    ...more,
  });
  const name = `${'0'.repeat(32)}-56`;
  const taking = (): { part: Buffer[] } => {
    const taken = { part: [] as Buffer[] };
    fake.on('putPart', ({ body }) => {
      taken.part.push(body);
      return { status: 201, json: { name, size: body.length } };
    });
    return taken;
  };

  it('streams the part, byte by byte the same', async () => {
    const taken = taking();
    await client().guard.putBig(ref, name, source());
    expect(taken.part.map((part) => Buffer.compare(part, bytes))).toEqual([0]);
    const begun = fake.asked.find(({ name }) => name === 'beginUpload');
    expect([begun?.params.part, begun?.json]).toEqual([name, { size: bytes.length }]);
  });

  it('sends nothing of a part that is there, whole', async () => {
    const taken = taking();
    fake.on('beginUpload', () => ({ json: { kind: 'stored' } }));
    let skipped = 0;
    await client().guard.putBig(ref, name, source({ file: '/staged', skipped: (count) => (skipped += count) }));
    expect([taken.part, skipped]).toEqual([[], bytes.length]);
  });

  it.each<[string, Partial<BigPartSource>]>([
    ['shorter', { size: bytes.length + 1 }],
    ['longer', { size: bytes.length - 1 }],
  ])('a stream that is %s than it says fails, and arrives nowhere', async (_, more) => {
    const taken = taking();
    expect(await codeOf(() => client().guard.putBig(ref, name, source(more)))).toBe('IO_FAILED');
    expect(taken.part).toEqual([]);
  });

  it('a source that fails is what is told', async () => {
    const taken = taking();
    const changed = new ModelGuardError('SOURCE_CHANGED', 'it changed');
    const stream = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 1000);
      throw changed;
    };
    expect(await failureOf(() => client().guard.putBig(ref, name, source({ stream })))).toBe(changed);
    expect(taken.part).toEqual([]);
  });

  it('is sent again only where it can be read again', async () => {
    taking();
    fake.times(1, 'putPart', (_, response) => {
      response.destroy();
      return undefined;
    });
    expect(await codeOf(() => client().guard.putBig(ref, name, source()))).toBe('SERVER_UNREACHABLE');
    expect(fake.count('putPart')).toBe(1);

    let tries = 0;
    fake.on('putPart', ({ body }, response) => {
      tries += 1;
      if (tries > 1) return failure(409, 'ALREADY_EXISTS');
      expect(body.length).toBe(bytes.length);
      response.destroy();
      return undefined;
    });
    // The first one had arrived, although its answer did not.
    await client().guard.putBig(ref, name, source({ file: '/staged' }));
    expect(tries).toBe(2);
    expect(await codeOf(() => client().guard.putBig(ref, name, source({ file: '/staged' })))).toBe('ALREADY_EXISTS');
  });
});

describe('the commit', () => {
  const version = {
    ...{
      name: 'net',
      version: '1',
      ordinal: 1,
      state: 'pending',
      format: 'onnx',
      digest: 'a'.repeat(64),
      smallBytes: 1,
      bigBytes: 1,
    },
    ...{ publisher: `mgs1:${'A'.repeat(43)}`, publishedBy: '0'.repeat(32), created: 1 },
  };
  const stored = () => ({ ...version, payloadId: model.payloadId, bigName: model.bigName });
  const lost: Handler = (_, response) => {
    response.destroy();
    return undefined;
  };

  it('says how the version stands', async () => {
    fake.on('publishVersion', () => ({ status: 201, json: stored() }));
    expect(await client().guard.putSmall(ref, model.small, { ifAbsent: true })).toEqual({ state: 'pending' });
    expect(fake.asked.find(({ name }) => name === 'publishVersion')?.json.overwrite).toBe(false);
  });

  it('whose answer is lost is looked for, not done again', async () => {
    fake.on('publishVersion', lost);
    fake.on('listVersions', () => ({ json: { items: [{ ...stored(), state: 'released' }] } }));
    expect(await client().guard.putSmall(ref, model.small, { ifAbsent: true })).toEqual({ state: 'released' });
    expect(fake.count('publishVersion')).toBe(1);
    fake.on('listVersions', () => ({ json: { items: [{ ...stored(), payloadId: 'f'.repeat(32) }] } }));
    expect(await codeOf(() => client().guard.putSmall(ref, model.small, { ifAbsent: true }))).toBe('SERVER_UNREACHABLE');
    fake.on('listVersions', () => ({ json: { items: [] } }));
    expect(await codeOf(() => client().guard.putSmall(ref, model.small, { ifAbsent: true }))).toBe('SERVER_UNREACHABLE');
  });
});
