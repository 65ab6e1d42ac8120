/** Maps failures of the network and of TLS to this library's errors. */
import { codeOf, isError, isModelGuardError, ModelGuardError } from '../errors.js';
import { withRetryHint } from './retry-hints.js';

/** Before any byte was sent: whatever was asked for was not done. */
const NOT_CONNECTED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);
/** Codes of connections that break in the middle. Other failures, such as a refused certificate, are final. */
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'ENETDOWN', 'EHOSTDOWN', 'ENETRESET']);

const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/^ECONNREFUSED$/, 'Nothing listens there: check the port, and whether the server runs.'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'Check how the name is written, and the name server of this machine.'],
  [
    /SELF_SIGNED|UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT)/,
    'No authority that is known here signed its certificate: if it is your own, name its authority (tls.ca, --ca of login, --store-ca of a store).',
  ],
  [/^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/, "Have its certificate renewed, or set this machine's clock right."],
  [/ALTNAME_INVALID$/, 'Give the address by a name that its certificate carries.'],
  [/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/, 'It speaks an older TLS: have TLS 1.3 switched on there.'],
  [/^HPE_/, 'What answers there does not speak HTTP: check the port, and whether it wants https://.'],
];

/** https:// to a port that speaks plain HTTP. */
const NO_TLS = /WRONG_VERSION_NUMBER|PACKET_LENGTH|^EPROTO$|HTTP_REQUEST/;

function adviceOf(code: string, where: string): string | undefined {
  if (where.startsWith('https:') && NO_TLS.test(code))
    return 'What answers there speaks no TLS: check the port. A server without TLS is only asked on this machine (http://127.0.0.1:…).';
  return ADVICE.find(([codes]) => codes.test(code))?.[1];
}

/** The error for a failure of the network or of TLS. A ModelGuardError stays as it is. */
export function unreachable(cause: unknown, where: string): ModelGuardError {
  if (isModelGuardError(cause)) return cause;
  const code = codeOf(cause);
  const why = code ?? (isError(cause) ? cause.message : '');
  const what = `${where} was not reached${why ? ` (${why})` : ''}`;
  const error = new ModelGuardError('SERVER_UNREACHABLE', what, { cause, advice: code && adviceOf(code, where) });
  if (code && NOT_CONNECTED.has(code)) return withRetryHint(error, { effect: 'undone' });
  return code && BROKEN.has(code) ? withRetryHint(error, { effect: 'unknown' }) : error;
}
