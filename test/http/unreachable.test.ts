/** Failures of the network itself. If these fail, a restart of a network ends an upload of hours, or something is done twice. */
import { expect, it } from 'vitest';
import { retryHintOf } from '../../src/http/retry-hints.js';
import { unreachable } from '../../src/http/unreachable.js';

const effectOf = (code: string): string | undefined =>
  retryHintOf(unreachable(Object.assign(new Error('no'), { code }), 'The server'))?.effect;

it.each(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL'])(
  '%s comes before anything was sent',
  (code) => {
    expect(effectOf(code)).toBe('undone');
  },
);

it.each(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'ENETDOWN', 'EHOSTDOWN', 'ENETRESET'])(
  '%s leaves open what was done',
  (code) => {
    expect(effectOf(code)).toBe('unknown');
  },
);

it.each(['CERT_HAS_EXPIRED', 'EMFILE', 'ERR_TLS_CERT_ALTNAME_INVALID'])('%s is final', (code) => {
  expect(effectOf(code)).toBeUndefined();
});
