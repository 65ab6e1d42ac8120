/** The same as test/contract/bounds.test.ts, through HTTP. If these fail, one request of 62 KB holds the server up for a second. */
import { type Route, type RouteName, routes } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { costlyCalls } from '../../../test/support/costly-calls.js';
import { leavesOf } from '../../../test/support/schema-walk.js';
import { startTestServer, type TestServer } from '../support/server.js';

/** Costly to normalise: marks that must be put in order. */
const FILL = `${'\u0300'.repeat(5)}\u0316`;
/** Slightly less than the longest body of the server, in UTF-8. */
const LONG = FILL.repeat(5000);
/** Twice the longest text of any route but a small part, in UTF-16 units. */
const MOST = 2 * 8192;
const isFill = (text: string): boolean => text.includes(FILL) && !text.startsWith('{');

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const fields = Object.entries(routes as Readonly<Record<string, Route>>).flatMap(([name, { body }]) =>
  body instanceof z.core.$ZodType
    ? [...leavesOf(body, name)]
        .filter(({ type, path }) => type === 'string' && path !== 'publishVersion.small')
        .map((leaf) => [leaf.path, name as RouteName, leaf] as const)
    : [],
);

describe('a text of a body that is almost as long as the body may be', () => {
  it('is tried for many fields', () => {
    expect(fields.length).toBeGreaterThan(30);
  });

  it.each(fields)('is refused before anything is done with it: %s', async (_, name, { around }) => {
    const { method, path, proof } = routes[name] as Route;
    const headers = {
      authorization: `Bearer ${await server.token('apiAdmin')}`,
      'content-type': 'application/json',
      ...(proof && { 'x-model-guard-proof': 'A'.repeat(86) }),
    };
    const url = path.replace(/:[a-z]+/g, 'a');
    let status = 0;
    const calls = await costlyCalls(async () => {
      const payload = JSON.stringify(around(LONG));
      status = (await server.app.inject({ method, url, headers, payload })).statusCode;
    }, isFill);
    expect(status).toBe(400);
    // The test's own server notes passwords: Buffer.from.
    const ofServer = calls.filter((call) => call.name !== 'from');
    expect(Math.max(0, ...ofServer.map(({ length }) => length))).toBeLessThanOrEqual(MOST);
  });
});

describe('a path that is as long as a head may be', () => {
  it('is written into the log in one pass', async () => {
    // A pattern that goes back at every character looks at some 100 million of them.
    const path = `/${'a'.repeat(14_000)}`;
    let looked = 0;
    const { replace } = String.prototype;
    Object.defineProperty(String.prototype, 'replace', {
      configurable: true,
      writable: true,
      value(this: string, pattern: unknown, by: unknown) {
        if (this.includes(path) && pattern instanceof RegExp && /\\\./.test(pattern.source)) looked += 1;
        return Reflect.apply(replace, this, [pattern, by]) as string;
      },
    });
    try {
      expect((await server.app.inject({ url: path })).statusCode).toBe(404);
    } finally {
      Object.defineProperty(String.prototype, 'replace', { configurable: true, writable: true, value: replace });
    }
    expect(looked).toBe(0);
  });

  it.each([
    ['a token', `${'a'.repeat(20)}.${'b'.repeat(20)}.${'c'.repeat(10)}`, true],
    ['a token without a signature', `${'a'.repeat(20)}.${'b'.repeat(20)}.`, true],
    ['a long name', 'a'.repeat(60), false],
    ['many short names', Array.from({ length: 20 }, () => 'abcd').join('.'), false],
  ])('hides what looks like a token, and nothing else: %s', async (_, segment, hidden) => {
    await server.app.inject({ url: `/nowhere/${segment}` });
    const { path } = server.logged.filter(({ msg, message }) => (msg ?? message) === 'request').at(-1) as { path: string };
    expect(path).toBe(`/nowhere/${hidden ? '[redacted]' : segment}`);
  });
});
