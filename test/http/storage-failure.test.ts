/**
 * The errors that a storage's answers become. If these fail, people are sent to the wrong place, or what would pass is given up.
 */
import { expect, it } from 'vitest';
import { retryHintOf } from '../../src/http/retry-hints.js';
import { storageFailure } from '../../src/http/storage-failure.js';

const NOW = 1_900_000_000_000;
const answered = (status: number, headers: Record<string, string> = {}) => {
  let discarded = 0;
  const error = storageFailure({ status, headers, discard: () => void discarded++ }, 'The big part of net@1', NOW);
  return { error, discarded };
};

it.each([
  [404, 'NOT_FOUND'],
  [410, 'NOT_FOUND'],
  [401, 'PERMISSION_DENIED'],
  [403, 'PERMISSION_DENIED'],
  [408, 'SERVER_FAILED'],
  [407, 'SERVER_FAILED'],
  [421, 'SERVER_FAILED'],
  [429, 'SERVER_FAILED'],
  [500, 'SERVER_FAILED'],
  [503, 'SERVER_FAILED'],
  [204, 'RESPONSE_INVALID'],
  [416, 'RESPONSE_INVALID'],
])('status %i is %s, says what to do about a storage, and its body is let go', (status, code) => {
  const { error, discarded } = answered(status);
  expect(error).toMatchObject({ code });
  expect(error.message).toContain(String(status));
  expect(error.message).not.toMatch(/guard server|server's log|this user/);
  expect(discarded).toBe(1);
});

it('the object that was asked for begins the sentence', () => {
  for (const status of [403, 404, 416]) expect(answered(status).error.message).toMatch(/^The big part of net@1 [a-z]/);
});

it('what may pass may be asked again, after the time that the storage names', () => {
  expect(retryHintOf(answered(503, { 'retry-after': '7' }).error)).toMatchObject({ effect: 'undone', after: 7000 });
  for (const status of [403, 404, 416]) expect(retryHintOf(answered(status).error)).toBeUndefined();
});

it('a page that is none of the storage’s own may pass, and keeps the code of its status', () => {
  const headers = { 'content-type': 'text/html' };
  const told = (status: number, ownPages: boolean, more: Record<string, string> = headers) =>
    storageFailure({ status, headers: more, discard: () => undefined }, 'big part x-0', NOW, ownPages);
  for (const [status, code] of [
    [403, 'PERMISSION_DENIED'],
    [404, 'NOT_FOUND'],
  ] as const) {
    expect(told(status, false).code).toBe(code);
    expect(retryHintOf(told(status, false))).toMatchObject({ effect: 'undone' });
    expect(retryHintOf(told(status, true))).toBeUndefined();
    expect(retryHintOf(told(status, false, { 'content-type': 'application/xml' }))).toBeUndefined();
  }
});
