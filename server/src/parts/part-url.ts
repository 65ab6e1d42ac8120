/** Signs URLs of this server that open one part for some minutes (docs/server-protocol.md, section 7). */
import { timingSafeEqual } from 'node:crypto';
import { decode, encode } from '@org/model-guard/server-kit';
import type { Context } from '../context.js';
import { treeOf, type UrlSigner } from './parts.js';

/** Signs paths of this server, and verifies its signatures. */
export interface PartUrls extends UrlSigner {
  verify(object: string, expires: number, signature: string): boolean;
}

export function partUrls({ config, keys, now }: Pick<Context, 'config' | 'keys' | 'now'>): PartUrls {
  return {
    async sign(object) {
      const path = pathOf(object);
      const expires = now() + config.partUrlSeconds;
      const signature = encode(keys.fields.urlMac(path, expires));
      return { url: `${config.publicUrl}${path}?expires=${expires}&signature=${signature}`, expires };
    },
    verify(object, expires, signature) {
      const expected = keys.fields.urlMac(pathOf(object), expires);
      const given = decode(signature);
      // Compare before anything else, so that an answer tells nothing about guessed signatures.
      return given.length === expected.length && timingSafeEqual(given, expected) && now() <= expires;
    },
  };
}

const TREE = treeOf('');
function pathOf(object: string): string {
  return object.endsWith(TREE) ? `/parts/${object.slice(0, -TREE.length)}/tree` : `/parts/${object}`;
}
