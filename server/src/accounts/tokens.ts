/** Access tokens: JWTs for 15 minutes (docs/server-protocol.md, section 7). */
import { randomBytes } from 'node:crypto';
import { ModelGuardError, type Role } from '@org/model-guard/server-kit';
import { errors, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { type Config, isExposed } from '../base/config.js';
import type { SecretPlace } from '../base/secrets.js';
import type { Context } from '../context.js';
import type { Database } from '../database/connection.js';
import { makeSharedSecret, makeTokenKeys, type TokenSigner } from './token-keys.js';

export const TOKEN_SECONDS = 900;
export const AUDIENCE = 'model-guard';
/** Seconds by which the clocks of a server's processes may differ, so that a token of one is not too early for another. */
const SKEW_SECONDS = 30;
const JTI = /^(0|[1-9][0-9]{0,14})-[0-9a-f]{32}$/;
const ID = /^[0-9a-f]{32}$/;

/** The account that a token is made for. */
export interface TokenHolder {
  readonly id: string;
  readonly role: Role;
  readonly epoch: number;
}
/** The claims of a token that verifies. The rights of the account are read from the database. */
export interface TokenClaims {
  readonly account: string;
  /** Of the account when the token was made. */
  readonly role: string;
  /** Of the account when the token was made. */
  readonly epoch: number;
}

export interface Tokens {
  issue(holder: TokenHolder): Promise<{ token: string; expires: number }>;
  /** @throws NOT_AUTHENTICATED; its cause names the reason, for the log */
  verify(token: string): Promise<TokenClaims>;
  /** Public keys that verify tokens (RFC 7517); none with a shared secret. */
  keys(): Promise<readonly (Record<string, unknown> & { kid: string; kty: string })[]>;
}

/** A server that other machines reach takes no development secret, even where NODE_ENV was forgotten. */
const placeOf = (config: Config): SecretPlace => ({ ...config, production: config.production || isExposed(config) });

export async function makeTokens(
  context: Pick<Context, 'config' | 'serverId' | 'now'> & { readonly db: Database },
): Promise<Tokens> {
  const { config, serverId, now } = context;
  const signer: TokenSigner = config.tokens === 'hs256' ? await makeSharedSecret(placeOf(config)) : makeTokenKeys(context);
  const rules = {
    // Exactly one algorithm: a public key can never pass for a shared secret, and a signature cannot be left out.
    algorithms: [signer.algorithm],
    issuer: serverId,
    audience: AUDIENCE,
    requiredClaims: ['sub', 'role', 'iat', 'exp', 'jti'],
    clockTolerance: 0,
  };
  return {
    async issue({ id, role, epoch }) {
      const issued = now();
      const expires = issued + TOKEN_SECONDS;
      const { key, kid } = await signer.signing();
      const token = await new SignJWT({ role })
        .setProtectedHeader({ alg: signer.algorithm, typ: 'JWT', ...(kid !== undefined && { kid }) })
        .setIssuer(serverId)
        .setAudience(AUDIENCE)
        .setSubject(id)
        .setIssuedAt(issued)
        .setExpirationTime(expires)
        .setJti(`${epoch}-${randomBytes(16).toString('hex')}`)
        .sign(key);
      return { token, expires };
    },
    async verify(token) {
      try {
        const find = ({ kid }: { kid?: string | undefined }) => signer.verifying(kid);
        const at = now();
        const { payload } = await jwtVerify(token, find, { ...rules, currentDate: new Date(at * 1000) });
        return claimsOf(payload, at);
      } catch (cause) {
        if (cause instanceof errors.JOSEError || cause instanceof TypeError)
          throw new ModelGuardError('NOT_AUTHENTICATED', 'The token is not valid', { cause, advice: 'Log in again.' });
        throw cause;
      }
    },
    keys: () => signer.published(),
  };
}

function claimsOf(payload: JWTPayload, now: number): TokenClaims {
  const { sub, jti, iat = 0 } = payload;
  if (iat > now + SKEW_SECONDS) throw new errors.JWTClaimValidationFailed('made in the future', payload, 'iat', 'check_failed');
  if (now - iat > TOKEN_SECONDS) throw new errors.JWTExpired('older than any token', payload, 'iat', 'check_failed');
  const epoch = JTI.exec(jti ?? '')?.[1];
  if (sub === undefined || !ID.test(sub) || epoch === undefined) throw new errors.JWTInvalid('claims of another form');
  return { account: sub, role: String(payload.role), epoch: Number(epoch) };
}
