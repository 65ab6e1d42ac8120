/** Keys that sign tokens: a key pair that lives in this process alone, or a secret that processes share. */
import { randomBytes } from 'node:crypto';
import { shapes } from '@org/model-guard/server-kit';
import { type CryptoKey, errors, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { demandKey, type SecretPlace } from '../base/secrets.js';
import type { Context } from '../context.js';

const DAY = 86_400;
/** Seconds; longer than any token lives. */
const OVERLAP = 1000;
const KID = /^[0-9a-f]{32}$/;

/** A way of signing tokens. */
export interface TokenSigner {
  readonly algorithm: 'EdDSA' | 'HS256';
  signing(): Promise<{ readonly key: CryptoKey | Uint8Array; readonly kid?: string | undefined }>;
  /** @throws JWKSNoMatchingKey */
  verifying(kid: string | undefined): Promise<CryptoKey | Uint8Array>;
  published(): Promise<readonly (JWK & { kid: string; kty: string })[]>;
}

/** HS256 by the secret `model_guard_token_secret`. */
export async function makeSharedSecret(place: SecretPlace): Promise<TokenSigner> {
  const key = await demandKey(place, 'token_secret');
  return { algorithm: 'HS256', signing: async () => ({ key }), verifying: async () => key, published: async () => [] };
}

interface Pair {
  readonly kid: string;
  readonly key: CryptoKey;
  /** The public half, as it stands in the database. */
  readonly jwk: string;
  /** Seconds since 1970. It signs until then, and is published for a little longer. */
  readonly until: number;
}

/**
 * EdDSA by a new key pair each day. The private half is never stored; the public half is in the database, so that every process
 * of this server knows it. A key in memory counts only together with its row: the database may have been restored or failed over.
 */
export function makeTokenKeys({ db, now }: Pick<Context, 'db' | 'now'>): TokenSigner {
  let pair: Promise<Pair> | undefined;
  /** Keys by name, read from the text that their row holds. */
  const read = new Map<string, { readonly jwk: string; readonly key: CryptoKey; readonly expires: number }>();

  const make = async (): Promise<Pair> => {
    const { privateKey, publicKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519' });
    const kid = randomBytes(16).toString('hex');
    const jwk = JSON.stringify({ ...(await exportJWK(publicKey)), kid, alg: 'EdDSA', use: 'sig' });
    return { kid, key: privateKey, jwk, until: now() + DAY };
  };

  const current = async (): Promise<Pair> => {
    if (!pair || (await pair).until <= now()) {
      const made = make();
      pair = made;
      // The failure is thrown to this caller; the next caller tries again.
      made.catch(() => {
        if (pair === made) pair = undefined;
      });
    }
    return pair;
  };

  /** Writes the row where it is missing. Needs no transaction, so it waits for no other writer. */
  const publish = async ({ kid, jwk, until }: Pair): Promise<void> => {
    const there = await db.selectFrom('token_keys').select('kid').where('kid', '=', kid).executeTakeFirst();
    if (there) return;
    await db.deleteFrom('token_keys').where('expires', '<=', now()).execute();
    await db
      .insertInto('token_keys')
      .values({ kid, jwk, expires: until + OVERLAP })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  };

  const find = async (kid: string): Promise<CryptoKey> => {
    const row = await db
      .selectFrom('token_keys')
      .select(['jwk', 'expires'])
      .where('kid', '=', kid)
      .where('expires', '>', now())
      .executeTakeFirst();
    if (!row) throw new errors.JWKSNoMatchingKey();
    const before = read.get(kid);
    if (before?.jwk === row.jwk) return before.key;
    for (const [name, { expires }] of read) if (expires <= now()) read.delete(name);
    const key = (await importJWK(JSON.parse(row.jwk) as JWK, 'EdDSA')) as CryptoKey;
    read.set(kid, { ...row, key });
    return key;
  };

  return {
    algorithm: 'EdDSA',
    async signing() {
      const own = await current();
      await publish(own);
      return own;
    },
    async verifying(kid) {
      if (kid === undefined || !KID.test(kid)) throw new errors.JWKSNoMatchingKey();
      return find(kid);
    },
    async published() {
      const rows = await db
        .selectFrom('token_keys')
        .select('jwk')
        .where('expires', '>', now())
        .orderBy('expires', 'desc')
        .limit(shapes.MAX_WEB_KEYS)
        .execute();
      return rows.map(({ jwk }) => JSON.parse(jwk) as JWK & { kid: string; kty: string });
    },
  };
}
