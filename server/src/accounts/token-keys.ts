/** What tokens are signed with: a key pair that lives in this process alone, or a secret that processes share. */
import { randomBytes } from 'node:crypto';
import { type CryptoKey, errors, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import type { Context } from '../context.js';
import { type SecretPlace, secret } from '../secrets.js';

const DAY = 86_400;
/** Longer than any token lives. */
const OVERLAP = 1000;
const KID = /^[0-9a-f]{32}$/;
const SHORTEST_SECRET = 32;
const DEVELOPMENT_SECRET = 'development only: everybody knows this secret';

/** One way of signing tokens. */
export interface TokenSigner {
  readonly algorithm: 'EdDSA' | 'HS256';
  signing(): Promise<{ readonly key: CryptoKey | Uint8Array; readonly kid?: string | undefined }>;
  /** @throws JWKSNoMatchingKey */
  verifying(kid: string | undefined): Promise<CryptoKey | Uint8Array>;
  published(): Promise<readonly (JWK & { kid: string; kty: string })[]>;
}

/** HS256 by the secret `model_guard_token_secret`. */
export async function makeSharedSecret(place: SecretPlace): Promise<TokenSigner> {
  const text = await secret(place, 'token_secret', { development: DEVELOPMENT_SECRET, minBytes: SHORTEST_SECRET });
  const key = new Uint8Array(Buffer.from(text));
  return { algorithm: 'HS256', signing: async () => ({ key }), verifying: async () => key, published: async () => [] };
}

interface Pair {
  readonly kid: string;
  readonly key: CryptoKey;
  /** It signs until then, and is published for a little longer. */
  readonly until: number;
}

/** EdDSA by a key pair a day, never stored. Its public half is in the database, so that every process of this server knows it. */
export function tokenKeys({ db, now }: Pick<Context, 'db' | 'now'>): TokenSigner {
  let pair: Promise<Pair> | undefined;
  const known = new Map<string, { readonly key: CryptoKey; readonly expires: number }>();

  const make = async (): Promise<Pair> => {
    const { privateKey, publicKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519' });
    const kid = randomBytes(16).toString('hex');
    const until = now() + DAY;
    const jwk = { ...(await exportJWK(publicKey)), kid, alg: 'EdDSA', use: 'sig' };
    await db.transaction().execute(async (trx) => {
      await trx.deleteFrom('token_keys').where('expires', '<=', now()).execute();
      await trx
        .insertInto('token_keys')
        .values({ kid, jwk: JSON.stringify(jwk), expires: until + OVERLAP })
        .execute();
    });
    return { kid, key: privateKey, until };
  };

  const find = async (kid: string): Promise<CryptoKey> => {
    for (const [name, { expires }] of known) if (expires <= now()) known.delete(name);
    const before = known.get(kid);
    if (before) return before.key;
    const row = await db
      .selectFrom('token_keys')
      .select(['jwk', 'expires'])
      .where('kid', '=', kid)
      .where('expires', '>', now())
      .executeTakeFirst();
    if (!row) throw new errors.JWKSNoMatchingKey();
    const key = (await importJWK(JSON.parse(row.jwk) as JWK, 'EdDSA')) as CryptoKey;
    known.set(kid, { key, expires: row.expires });
    return key;
  };

  return {
    algorithm: 'EdDSA',
    async signing() {
      if (!pair || (await pair).until <= now()) {
        const made = make();
        pair = made;
        // A failure is this caller's; the next one tries again.
        made.catch(() => {
          if (pair === made) pair = undefined;
        });
      }
      return pair;
    },
    async verifying(kid) {
      if (kid === undefined || !KID.test(kid)) throw new errors.JWKSNoMatchingKey();
      return find(kid);
    },
    async published() {
      const rows = await db.selectFrom('token_keys').select('jwk').where('expires', '>', now()).orderBy('expires').execute();
      return rows.map(({ jwk }) => JSON.parse(jwk) as JWK & { kid: string; kty: string });
    },
  };
}
