/** Which addresses are asked. What is wrong here lets a password leave in clear text, or a name become another path. */
import { describe, expect, it } from 'vitest';
import { routes } from '../../src/contract/index.js';
import { guardServer, SigningKey } from '../../src/index.js';
import { partAddress, routeAddress, serverAddress } from '../../src/remote/http/address.js';
import { failureOf } from '../support/failures.js';

describe('the server’s address', () => {
  it.each([
    'https://guard.example.org',
    'https://10.0.0.1:8443/guard/',
    'http://localhost:8080',
    'http://127.0.0.9',
    'http://[::1]:1',
  ])('may be %s', (url) => expect(serverAddress(url).href).toContain('://'));
  it.each([
    'http://guard.example.org',
    'http://10.0.0.1',
    'http://localhost.example.org',
    'http://127.0.0.1.example.org',
    'http://[::2]',
    'ftp://localhost',
    'file:///etc/passwd',
    'guard.example.org',
    '',
    'https://user@guard.example.org',
    'https://:password@guard.example.org',
    'https://guard.example.org/?x=1',
    'https://guard.example.org/#x',
  ])('may not be %s', async (url) => {
    const error = await failureOf(() => guardServer({ url, serverKey: SigningKey.generate().publicKey }));
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.message).not.toContain('password@');
  });
});

describe('the address of a route', () => {
  const base = new URL('https://guard.example.org/under/');
  it('keeps what stands before it', () => {
    expect(routeAddress(base, routes.server.path).href).toBe('https://guard.example.org/under/server');
  });
  it.each(['../../etc', 'a/b', 'a?b', 'a#b', 'a%2fb', 'a\r\nb', 'é', 'a b', '//x', ':version'])(
    'encodes %j as one segment',
    (name) => {
      const url = routeAddress(base, '/models/:name/latest', { name }, { cursor: name });
      expect(url.origin).toBe(base.origin);
      const segments = url.pathname.split('/');
      expect(segments).toHaveLength(5);
      expect(decodeURIComponent(segments[3] ?? '')).toBe(name);
      expect(url.searchParams.get('cursor')).toBe(name);
    },
  );
});

describe('the address of a part', () => {
  const secure = new URL('https://guard.example.org');
  const local = new URL('http://127.0.0.1:8080');
  it.each<[URL, string]>([
    [secure, 'https://store.example.org/x?signature=y'],
    [secure, '/parts/x?signature=y'],
    [local, 'http://127.0.0.1:9000/x'],
    [local, 'https://store.example.org/x'],
  ])('from %s may be %s', (base, url) => expect(partAddress(base, url).pathname).toContain('x'));
  it.each<[URL, string]>([
    [secure, 'http://guard.example.org/x'],
    [secure, 'http://127.0.0.1/x'],
    [secure, 'file:///etc/passwd'],
    [secure, 'https://a:b@store.example.org/x'],
    [local, 'http://169.254.169.254/latest'],
    [local, 'http://[bad'],
  ])('from %s may not be %s', async (base, url) => {
    expect((await failureOf(() => partAddress(base, url))).code).toBe('RESPONSE_INVALID');
  });
});
