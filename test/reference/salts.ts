/** Section 13: the constants of a build. */
import { ascii, concat, must, refuse } from './bytes.js';
import { digest } from './primitives.js';

export const DEFAULT_PEPPER = digest('sha256', ascii('model-guard public default pepper'));

/** First 8 bytes of SHA-256("model-guard/v1/salts" ‖ pepper). */
export const saltsId = (pepper: Uint8Array): Uint8Array => digest('sha256', ascii('model-guard/v1/salts'), pepper).slice(0, 8);

export const LEGACY_SALTS = ['download', 'hardware', 'resource'] as const;
export type LegacySalt = (typeof LEGACY_SALTS)[number];

export const defaultLegacySalt = (name: LegacySalt): Uint8Array =>
  ascii(Buffer.from(digest('sha256', ascii(`model-guard public default ${name} salt`))).toString('base64url'));

export interface Salts {
  readonly pepper?: Uint8Array;
  readonly legacy: ReadonlyMap<LegacySalt, Uint8Array>;
}

export function fromBase64url(text: string, length?: number): Uint8Array {
  const bytes = Uint8Array.from(Buffer.from(text, 'base64url'));
  must(Buffer.from(bytes).toString('base64url') === text, 'base64url is not canonical');
  must(length === undefined || bytes.length === length, `${bytes.length} bytes instead of ${length}`);
  return bytes;
}

export const toBase64url = (...bytes: readonly Uint8Array[]): string => Buffer.from(concat(...bytes)).toString('base64url');

export function parseSaltsFile(file: Uint8Array): Salts {
  must(file.length <= 16_384, 'a salts file has at most 16 KiB');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(file);
  } catch {
    return refuse('a salts file is UTF-8');
  }
  const [first, ...rest] = text.split('\n');
  must(first === 'model-guard-salts v1', 'not a salts file');
  must(rest.pop() === '', 'the last line has no end');
  const values = new Map<string, string>();
  for (const line of rest) {
    const [name = '', ...value] = line.split(' ');
    must(name === 'pepper' || LEGACY_SALTS.some((salt) => name === `legacy-${salt}`), 'a name that is unknown');
    must(value.length > 0 && !values.has(name), 'a line without a value, or a name twice');
    values.set(name, value.join(' '));
  }
  const legacy = new Map<LegacySalt, Uint8Array>();
  for (const salt of LEGACY_SALTS) {
    const value = values.get(`legacy-${salt}`);
    if (value === undefined) continue;
    const bytes = Uint8Array.from(Buffer.from(value, 'utf8'));
    must(bytes.length >= 1 && bytes.length <= 1024, 'a legacy salt has 1 to 1,024 bytes');
    legacy.set(salt, bytes);
  }
  const pepper = values.get('pepper');
  return { legacy, ...(pepper !== undefined && { pepper: fromBase64url(pepper, 32) }) };
}
