/** Answers that never end: too slow, too long, or lists in circles. If these fail, a hostile storage holds its readers for ever. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { s3Store } from '@org/model-guard';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LeastRate } from '../../src/http/least-rate.js';
import { PageMarkers } from '../../src/http/page-markers.js';
import { paged } from '../../src/remote/http/pages.js';
import { httpStoreWithHooks } from '../../src/stores/http.js';
import { s3StoreWithHooks } from '../../src/stores/s3/store.js';
import { sendEndlessly } from '../support/endless-answer.js';
import { codeOf, failureOf } from '../support/failures.js';
import { FakeS3 } from '../support/fake-s3.js';
import { scaledTimers } from '../support/timers.js';

const ref = { name: 'net', version: '1' };
const credentials = { accessKeyId: 'id', secretAccessKey: 'a secret' };

describe('the least rate', () => {
  it('lets nothing through that drips, and whatever comes with more', () => {
    const drip = new LeastRate(30_000);
    let pieces = 1;
    while (drip.isEnough(200, 1)) pieces++;
    expect(pieces * 200).toBe(30_000);
    const slow = new LeastRate(30_000);
    for (let n = 0; n < 1000; n++) expect(slow.isEnough(10_000, 22_000)).toBe(true);
  });

  it('does not count the time that the reader takes', () => {
    const rate = new LeastRate(30_000);
    for (let n = 0; n < 1000; n++) expect(rate.isEnough(0, 1)).toBe(true);
  });
});

describe('a server that sends a byte now and then', () => {
  // Half a minute of the client's time is three milliseconds here.
  const surroundings = { timers: scaledTimers(10_000), pace: { random: () => 0, sleep: async () => undefined } };
  const server = createServer((_request, response) => {
    response.writeHead(200);
    const drip = (): void => {
      if (response.destroyed) return;
      response.write('x');
      setImmediate(drip);
    };
    drip();
  });
  beforeEach(() => new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve)));
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  it('does not hold a whole document for ever', async () => {
    const failure = await failureOf(() => httpStoreWithHooks(url(), undefined, surroundings).getSmall(ref));
    expect(failure.code).toBe('TIMED_OUT');
    const s3 = s3StoreWithHooks({ bucket: 'models', endpoint: url(), credentials }, surroundings);
    expect(await codeOf(() => s3.getSmall(ref))).toBe('TIMED_OUT');
    expect(await codeOf(async () => s3.list()[Symbol.asyncIterator]().next())).toBe('TIMED_OUT');
  });
});

describe('lists of a bucket', () => {
  let s3: FakeS3;
  beforeEach(async () => {
    s3 = await new FakeS3().listen();
  });
  afterEach(() => s3.close());
  const store = () => s3Store({ bucket: 'models', endpoint: s3.endpoint, credentials });
  async function listed(): Promise<number> {
    let count = 0;
    for await (const _ of store().list()) count++;
    return count;
  }
  const answer = (inner: string): void => {
    s3.hook = () => ({
      headers: { 'content-type': 'application/xml' },
      body: `<ListBucketResult><IsTruncated>true</IsTruncated>${inner}</ListBucketResult>`,
    });
  };
  const next = (marker: string): string => `<NextContinuationToken>${marker}</NextContinuationToken>`;

  it('that stand still, go in a circle or bring nothing are an error', async () => {
    answer(next('x'));
    expect(await codeOf(listed)).toBe('RESPONSE_INVALID');
    s3.hook = () => ({
      body: `<ListBucketResult><IsTruncated>true</IsTruncated>${next(`m${s3.asked.length % 3}`)}<Contents><Key>small/net/1</Key></Contents></ListBucketResult>`,
    });
    expect(await codeOf(listed)).toBe('RESPONSE_INVALID');
    s3.asked.length = 0;
    s3.hook = () => ({
      body: `<ListBucketResult><IsTruncated>true</IsTruncated>${next(`m${s3.asked.length}`)}</ListBucketResult>`,
    });
    expect(await codeOf(listed)).toBe('RESPONSE_INVALID');
    expect(s3.asked.length).toBeLessThan(200);
  });

  it('that are longer than any list are not read to their end', async () => {
    let sent = (): number => 0;
    s3.hook = (_, response) => {
      sent = sendEndlessly(response);
      return 'taken';
    };
    expect(await codeOf(listed)).toBe('RESPONSE_INVALID');
    expect(sent()).toBeLessThan(100_000_000);
  });

  it('an error as long as that is known by its status', async () => {
    s3.hook = () => ({ status: 404, body: Buffer.alloc(20_000_000, 'a') });
    expect(await codeOf(() => store().getSmall(ref))).toBe('NOT_FOUND');
  });
});

describe('pages of a guard server', () => {
  const all = async (markerAt: (page: number) => string, items: readonly number[] = [1]): Promise<string> => {
    let page = 0;
    return await codeOf(async () => {
      for await (const _ of paged(undefined, async () => ({ items, next: markerAt(page++) })));
    });
  };

  it.each([1, 2, 7, 100])('in a circle of %i are found out', async (length) => {
    expect(await all((page) => `${page % length}`)).toBe('RESPONSE_INVALID');
    expect(await all((page) => `${page < 50 ? -page : page % length}`)).toBe('RESPONSE_INVALID');
  });

  it('without an end and without an item are, too; with items they go on', async () => {
    expect(await all((page) => `${page}`, [])).toBe('RESPONSE_INVALID');
    const markers = new PageMarkers();
    for (let page = 0; page < 100_000; page++) expect(markers.goesOn(`${page}`, 1)).toBe(true);
  });
});
