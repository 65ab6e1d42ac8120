/** URLs that open one part for some minutes (docs/server-protocol.md, section 7). */
import { timingSafeEqual } from 'node:crypto';
import { decode, encode } from '@org/model-guard/server-kit';
import type { Context } from '../context.js';

/** Signs paths of this server, and recognises what it signed. */
export interface PartUrls {
  sign(path: string): { readonly url: string; readonly expires: number };
  verify(path: string, expires: number, signature: string): boolean;
}

export function partUrls({ config, keys, now }: Context): PartUrls {
  return {
    sign(path) {
      const expires = now() + config.partUrlSeconds;
      const signature = encode(keys.fields.urlMac(path, expires));
      return { url: `${config.publicUrl}${path}?expires=${expires}&signature=${signature}`, expires };
    },
    verify(path, expires, signature) {
      const expected = keys.fields.urlMac(path, expires);
      const given = decode(signature);
      // The comparison comes first, so that an answer tells nothing about signatures that were guessed.
      return given.length === expected.length && timingSafeEqual(given, expected) && now() <= expires;
    },
  };
}

/** What {@link PartUrls} signs for a part and for its tree. */
export const partPath = (name: string): string => `/parts/${name}`;
export const treePath = (name: string): string => `/parts/${name}/tree`;
