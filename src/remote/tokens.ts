/** Checks that a token is of this server (docs/server-protocol.md, section 7). */
import { createLocalJWKSet, errors, jwtVerify } from 'jose';
import { ModelGuardError } from '../errors.js';
import { TOLERANCE } from './clock.js';

interface TokenKeys {
  readonly server: string;
  readonly keys: readonly { readonly [member: string]: unknown }[];
}

/** SERVER_UNTRUSTED unless one of `keys` signed it, for this server and now; CLOCK_SKEWED where only the time does not fit. */
export async function verifyToken(token: string, { server, keys }: TokenKeys, now: number): Promise<void> {
  try {
    await jwtVerify(token, createLocalJWKSet({ keys: keys as { kty: string }[] }), {
      // Never what the token asks for: `none` and HMAC under a public key are as good as no signature.
      algorithms: ['EdDSA', 'Ed25519'],
      issuer: server,
      audience: 'model-guard',
      currentDate: new Date(now),
      clockTolerance: TOLERANCE,
      requiredClaims: ['sub', 'iat', 'exp', 'jti'],
    });
  } catch (error) {
    // The library's errors hold the token's claims: only the code is passed on.
    const code = error instanceof errors.JOSEError ? error.code : 'ERR_JOSE_GENERIC';
    if (code === 'ERR_JWT_EXPIRED')
      throw new ModelGuardError('CLOCK_SKEWED', "By this machine's clock the server's new token has expired already");
    throw new ModelGuardError('SERVER_UNTRUSTED', `The token is not one that this server signed (${code})`);
  }
}
