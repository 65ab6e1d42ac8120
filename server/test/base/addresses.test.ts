/** The network by which a request is counted. If these fail, one host counts as thousands, or thousands as one. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { forwardedAddress, networkOf } from '../../src/base/addresses.js';
import { startTestServer, type TestServer } from '../support/server.js';

it.each([
  ['203.0.113.77', '203.0.113.77'],
  ['::ffff:203.0.113.77', '203.0.113.77'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8:1:2::6', '2001:db8:1:2'],
  ['2001:0DB8:0001::1', '2001:db8:1:0'],
  ['2001:db8::2:3:4:5:6', '2001:db8:0:2'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['64:ff9b::192.0.2.1', '64:ff9b:0:0'],
  ['::1', '0:0:0:0'],
  ['::', '0:0:0:0'],
  ['1::', '1:0:0:0'],
  ['unknown', 'unknown'],
])('%s counts as %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

it.each([
  ['203.0.113.77', '203.0.113.77'],
  ['unknown, 203.0.113.77', '203.0.113.77'],
  ['203.0.113.77:4711', '203.0.113.77'],
  ['2001:db8::1', '2001:db8::1'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['[2001:db8::1]:4711', '2001:db8::1'],
  ['::ffff:203.0.113.77', '::ffff:203.0.113.77'],
  ['', undefined],
  ['203.0.113.77, ', undefined],
  ['203.0.113.77, unknown', undefined],
  ['203.0.113.777', undefined],
  [`fe80::1%${'a'.repeat(10)}`, undefined],
  ['a'.repeat(16_000), undefined],
])('X-Forwarded-For %s ends in %s', (header, address) => {
  expect(forwardedAddress(header)).toBe(address);
});

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ config: { addressPolicy: 'omit' } });
});
afterAll(() => server.close());

const rows = async (action: string): Promise<number> =>
  (await server.context.db.selectFrom('audit').select('seq').where('action', '=', action).execute()).length;

it('writes down what another address forges, whatever the log keeps of addresses and however many one holder has', async () => {
  const forge = (remoteAddress: string) =>
    server.app.inject({ url: '/account', headers: { authorization: 'Bearer a.b.c' }, remoteAddress });
  for (let host = 1; host <= 24; host++) await forge(`2001:db8::${host}:1`);
  expect(await rows('auth.token')).toBe(20);
  await forge('203.0.113.77');
  expect(await rows('auth.token')).toBe(21);

  const guess = (remoteAddress: string) =>
    server.app.inject({ url: `/parts/${'0'.repeat(32)}-0?expires=9999999999&signature=AAAA`, remoteAddress });
  for (let host = 1; host <= 24; host++) await guess(`2001:db8::${host}:1`);
  expect(await rows('parts.read')).toBe(20);
  await guess('203.0.113.77');
  expect(await rows('parts.read')).toBe(21);
});
