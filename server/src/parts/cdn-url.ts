/** Signs URLs of a CDN whose edges verify an HMAC (docs/server-protocol.md, section 7). */
import { createHmac } from 'node:crypto';
import { ModelGuardError } from '@org/model-guard/server-kit';
import { SHORTEST_KEY } from '../base/secret-strength.js';
import { findKey, type SecretPlace } from '../base/secrets.js';
import type { Context } from '../context.js';
import type { UrlSigner } from './parts.js';

/** The secret that this server shares with the edges. @throws INVALID_ARGUMENT where it is missing or can be guessed */
export async function cdnKey(place: SecretPlace, environment: NodeJS.ProcessEnv = process.env): Promise<Uint8Array> {
  const key = await findKey(place, 'cdn_key', environment);
  if (key !== undefined) return key;
  throw new ModelGuardError(
    'INVALID_ARGUMENT',
    `--cdn-url needs the secret model_guard_cdn_key, at least ${SHORTEST_KEY} bytes`,
    {
      advice: `Put it into ${place.secretsFolder}, or into MODEL_GUARD_CDN_KEY; the edges of the CDN check with the same one.`,
    },
  );
}

/** @param base The URL under which `big/` lies. */
export function cdnUrls(base: string, key: Uint8Array, { config, now }: Pick<Context, 'config' | 'now'>): UrlSigner {
  return {
    async sign(object) {
      const url = new URL(`${base}/big/${object}`);
      const expires = now() + config.partUrlSeconds;
      const signature = createHmac('sha256', key).update(`${url.pathname}\0${expires}`).digest('base64url');
      return { url: `${url.href}?expires=${expires}&signature=${signature}`, expires };
    },
  };
}
