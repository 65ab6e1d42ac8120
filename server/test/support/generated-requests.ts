/** Generates requests from the OpenAPI document: values that fit it, and values that are wrong in usual ways. */
import type { Random } from '../../../test/support/seed.js';
import type { Schema } from './openapi.js';

/** Live things by the pattern of their names, so that generated requests reach them. */
export type Pool = ReadonlyMap<string, readonly string[]>;

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const letters = (random: Random, alphabet: string, length: number): string =>
  Array.from({ length }, () => alphabet[random.integer(alphabet.length)]).join('');

/** Texts that fit the patterns of the contract; by the pattern's own words. */
function textOf(schema: Schema, name: string, random: Random, pool: Pool): string {
  const { pattern = '', minLength = 1, maxLength = 24, format } = schema;
  const live = pool.get(name) ?? [];
  if (live.length > 0 && random.integer(10) < 8) return random.pick(live);
  const key = /^\^(mg[dsx]1:)\[A-Za-z0-9_-\]\{(\d+)\}/.exec(pattern);
  if (key) return `${key[1]}${letters(random, BASE64URL, Number(key[2]) - 1)}A`;
  if (pattern.startsWith('^[0-9a-f]{32}-')) return `${letters(random, '0123456789abcdef', 32)}-${random.integer(5000)}`;
  const digits = /^\^\[0-9a-f\]\{(\d+)\}/.exec(pattern);
  if (digits) return letters(random, '0123456789abcdef', Number(digits[1]));
  if (pattern.startsWith('^[A-Za-z0-9_-]')) {
    const length = schema.minLength ?? 4 * random.integer(16);
    return length % 4 === 3 || length % 4 === 2
      ? `${letters(random, BASE64URL, length - 1)}A`
      : letters(random, BASE64URL, length);
  }
  if (pattern.includes('@')) return `${letters(random, 'abcdefgh', 8)}@example.com`;
  if (pattern.startsWith('^[0-9]')) return String(random.integer(4_000_000_000));
  if (format === 'date-time') return '2026-01-01T00:00:00Z';
  return letters(random, 'abcdefghijklmnopqrstuvwxyz', Math.max(minLength, Math.min(maxLength, minLength + random.integer(8))));
}

/** A value that fits. */
export function validValue(schema: Schema, name: string, random: Random, pool: Pool): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return random.pick(schema.enum);
  if (schema.anyOf) return validValue(random.pick(schema.anyOf), name, random, pool);
  switch (schema.type) {
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {})
          .filter(([key]) => schema.required?.includes(key) || random.integer(2) === 0)
          .map(([key, value]) => [key, validValue(value, key, random, pool)]),
      );
    case 'array':
      return Array.from({ length: (schema.minItems ?? 0) + random.integer(2) }, () =>
        validValue(schema.items ?? {}, name, random, pool),
      );
    case 'integer':
    case 'number': {
      const low = schema.minimum ?? 0;
      return low + random.integer(Math.min(100_000, (schema.maximum ?? 1000) - low + 1));
    }
    case 'boolean':
      return random.integer(2) === 0;
    default:
      return textOf(schema, name, random, pool);
  }
}

const WRONG: readonly ((random: Random) => unknown)[] = [
  () => null,
  () => '',
  () => -1,
  () => 1e308,
  () => 2 ** 53,
  () => [],
  () => ({}),
  () => true,
  () => "' OR 1=1; DROP TABLE users; --",
  () => '"; DELETE FROM audit; --',
  () => '../../../../etc/passwd',
  () => '..%2f..%2fetc%2fpasswd',
  () => 'defects\u0000',
  () => 'd\u0435fects', // a Cyrillic letter
  () => 'ｄefects', // full width
  () => 'K\u0301\u200d\u202e',
  () => '\ud800',
  () => '{{constructor.constructor("return process")()}}',
  () => '$' + '{jndi:ldap://127.0.0.1/a}',
  (random) => 'x'.repeat(1 + random.integer(20_000)),
  () => JSON.parse(`${'['.repeat(200)}${']'.repeat(200)}`),
  () => JSON.parse('{"__proto__":{"role":"apiAdmin"},"constructor":{"prototype":{"role":"apiAdmin"}}}'),
];

/** The same value with one thing wrong somewhere: another type, something missing, something extra. */
export function invalidValue(value: unknown, random: Random): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return random.pick(WRONG)(random);
  const entries = Object.entries(value);
  const way = random.integer(entries.length === 0 ? 1 : 4);
  if (way === 0) return { ...value, [random.pick(['extra', '__proto__x', 'role', 'id'])]: random.pick(WRONG)(random) };
  const [key, old] = random.pick(entries) as [string, unknown];
  if (way === 1) return Object.fromEntries(entries.filter(([name]) => name !== key));
  return { ...value, [key]: way === 2 ? random.pick(WRONG)(random) : invalidValue(old, random) };
}
/** Invalid text for a path or a query. */
export const invalidText = (random: Random): string => {
  const value = random.pick(WRONG)(random);
  return typeof value === 'string' ? value.slice(0, 2000) : (JSON.stringify(value) ?? '').slice(0, 2000);
};
