/**
 * Proxies, gateways and log-in pages of networks that answer in the server's place. If these fail, a device with a lease that is good offline
 * stands still because something in between has an opinion; or something in between ends leases.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type RouteName, routes } from '../../src/contract/index.js';
import { load, memoryStore } from '../../src/index.js';
import { SERVER_UNTRUSTED_WARNING } from '../../src/remote/device/unavailable.js';
import { codeOf } from '../support/failures.js';
import { type FakeClient, fakeClient } from '../support/fake-client.js';
import { failure, type Model, type Reply } from '../support/fake-guard.js';
import { lease, useTrustLab } from '../support/trust-lab.js';

const { fake, stranger, newState, client, lying } = useTrustLab('intermediaries');
afterEach(() => vi.restoreAllMocks());

const page = (status: number, headers: Reply['headers'] = {}, text = '<html>maintenance</html>'): Reply => ({
  status,
  bytes: Buffer.from(text),
  headers: { 'content-type': 'text/html', ...headers },
});
const json = (status: number, value: unknown, headers?: Reply['headers']): Reply => ({
  status,
  json: value,
  ...(headers && { headers }),
});
const PAGES: [string, Reply][] = [
  ['404 of a router', page(404, { 'content-type': 'text/plain' }, '404 page not found\n')],
  ['404 of a default backend', page(404)],
  ['403 of a firewall', page(403, { server: 'cdn' })],
  ['302 to a page about maintenance', page(302, { location: 'https://status.example.com/' })],
  ['307 to a log-in page', page(307, { location: 'https://login.example.com/' })],
  ['308', page(308, { location: 'https://elsewhere.example.com/' })],
  ['a log-in page with status 200', page(200)],
  ['the same, compressed', page(200, { 'content-encoding': 'gzip' })],
  ['JSON with status 200', json(200, { status: 'maintenance' })],
  ['nothing, with status 204', page(204, {}, '')],
  ['400', page(400)],
  ['401', page(401, { 'www-authenticate': 'Basic realm="x"' })],
  ['405', page(405)],
  ['407', page(407, { 'proxy-authenticate': 'Basic realm="x"' })],
  ['408', page(408)],
  ['409', page(409)],
  ['413', page(413)],
  ['418', page(418)],
  ['421', page(421)],
  ['425', page(425)],
  ['429', page(429, { 'retry-after': '60' })],
  ['511', page(511)],
  ['521', page(521)],
  ['500', page(500)],
  ['503, compressed', page(503, { 'content-encoding': 'gzip' }, '\u001f\u008b')],
  ['a refusal of another shape', json(404, { error: { code: 'NOT_FOUND', message: 'no' } })],
  [
    'a refusal of the right shape that is called a page',
    json(404, failure(404, 'NOT_FOUND').json, { 'content-type': 'text/html' }),
  ],
  ['a refusal with a code that no guard server has', failure(404, 'ResourceNotFound')],
  ['a refusal with the code of another status', failure(404, 'DEVICE_REVOKED')],
];
/** Where something in between may begin to answer: at every route, or at the last one alone. */
const everywhere = (reply: Reply): void => {
  for (const name of Object.keys(routes) as RouteName[]) fake.on(name, () => reply);
};

describe('a kept lease is used, and stays, where the answer is', () => {
  it.each(PAGES)('%s', async (_, reply) => {
    const state = newState();
    const one = client({ state });
    await lease(one);
    const again = (): FakeClient => fakeClient(fake, { state, device: one.device });
    const big = memoryStore();
    const part = fake.models.get('net@1') as Model;
    const stream = async function* () {
      yield part.big.slice();
    };
    await big.putBig({ name: 'net', version: '1' }, part.bigName, {
      size: part.big.length,
      stream,
      tree: () => new Uint8Array(),
    });
    for (const answers of [() => everywhere(reply), () => fake.on('takeLease', () => reply)]) {
      answers();
      expect((await lease(again())).source).toBe('kept');
      expect((await again().guard.lease('net')).source).toBe('kept');
      (await load('net', { from: { small: again().guard, big }, cache: false })).dispose();
      fake.restore();
    }
    const away = fakeClient(fake, { state, device: one.device, url: 'http://127.0.0.1:1' });
    expect((await lease(away)).source).toBe('kept');
  });

  it('that of a server with another key: a warning tells of it', async () => {
    const one = client();
    await lease(one);
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    lying(() => ({}), stranger);
    expect((await lease(one)).source).toBe('kept');
    expect(warnings).toHaveBeenCalledWith(expect.stringMatching(/is not the guard server/), {
      type: 'ModelGuardWarning',
      code: SERVER_UNTRUSTED_WARNING,
    });
  });

  it('none of these, once the lease is over', async () => {
    const one = client();
    await lease(one);
    one.clock.wall = fake.now + 3601;
    everywhere(page(404));
    expect(await codeOf(() => lease(one))).toBe('LEASE_EXPIRED');
  });
});

describe('without a kept lease', () => {
  // Too long does not pass, and a minute is more than is waited.
  const passing = PAGES.filter(([what]) => what !== '413' && what !== '429');
  it.each(passing)('%s is asked again, as after a failure of a gateway', async (_, reply) => {
    fake.times(3, 'server', () => reply);
    expect((await lease(client())).source).toBe('server');
  });

  it('an answer of something else grants nothing, whatever it is', async () => {
    for (const [what, reply] of PAGES) {
      everywhere(reply);
      await expect(lease(client()), what).rejects.toThrow();
    }
  });
});

describe('a kept lease is not used against the server’s own word:', () => {
  it.each([
    [401, 'NOT_AUTHENTICATED'],
    [403, 'PROOF_INVALID'],
    [403, 'DEVICE_REVOKED'],
    [409, 'SEATS_TAKEN'],
  ])('%i %s', async (status, code) => {
    const one = client();
    await lease(one);
    fake.on('takeLease', () => failure(status, code));
    expect(await codeOf(() => lease(one))).toBe(code);
  });
});
