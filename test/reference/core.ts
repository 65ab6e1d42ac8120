/** Section 2: the public facts that everything else binds to. */
import { ascii, concat, must } from './bytes.js';
import { exactly, integer, parseJson, text, writeJson } from './json.js';
import { digest } from './primitives.js';

export interface Core {
  readonly created: string;
  readonly format: string;
  readonly name: string;
  readonly payloadId: string;
  readonly plaintextSize: number;
  readonly version: string;
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,127}$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;

export function parseCore(bytes: Uint8Array): Core {
  must(bytes.length >= 1 && bytes.length <= 8192, 'a core has 1 to 8,192 bytes');
  const json = exactly(parseJson(bytes), ['created', 'format', 'name', 'payloadId', 'plaintextSize', 'version']);
  const core: Core = {
    created: text(json, 'created'),
    format: text(json, 'format'),
    name: text(json, 'name'),
    payloadId: text(json, 'payloadId'),
    plaintextSize: integer(json, 'plaintextSize'),
    version: text(json, 'version'),
  };
  for (const field of ['format', 'name', 'version'] as const) must(NAME.test(core[field]), `${field} is no name`);
  must(/^[0-9a-f]{32}$/.test(core.payloadId), 'payloadId is not 32 lowercase hex digits');
  must(core.plaintextSize >= 16384 && core.plaintextSize <= 2 ** 52, 'plaintextSize is out of range');
  const time = Date.parse(core.created);
  must(TIME.test(core.created) && !Number.isNaN(time), 'created is no time');
  must(new Date(time).toISOString() === core.created.replace('Z', '.000Z'), 'created is on no calendar');
  return core;
}

export const writeCore = (core: Core): Uint8Array => writeJson({ ...core });

export const coreHash = (core: Uint8Array): Uint8Array => digest('sha384', core);

/** `"label" ‖ 0x00 ‖ SHA-384(core)` */
export const bound = (label: string, hash: Uint8Array): Uint8Array => concat(ascii(label), Uint8Array.of(0), hash);

/** First 8 bytes of SHA-256("model-guard/v1/id" ‖ public key). */
export const keyId = (publicKey: Uint8Array): Uint8Array => digest('sha256', ascii('model-guard/v1/id'), publicKey).slice(0, 8);
