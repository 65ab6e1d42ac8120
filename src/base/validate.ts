/** Checks what callers pass in: options, paths and bytes. Errors name the first option that is wrong. */
import { isArrayBuffer, isUint8Array } from 'node:util/types';
import { z } from 'zod';
import { type ModelGuardErrorCode, optionError } from '../errors.js';
import type { AbortSignalLike } from './abort.js';
import { MAX_PATH } from './limits.js';
import { text } from './schemas.js';

/** Checks `value` once; the error names the first path that is wrong. */
export function parse<Schema extends z.ZodType>(schema: Schema, value: unknown, what = 'options'): z.output<Schema> {
  const result = schema.safeParse(value, { error: wordsOf });
  if (result.success) return result.data;
  const issue = result.error.issues[0] as z.core.$ZodIssue;
  const path = issue.path.reduce<string>((at, key) => (typeof key === 'number' ? `${at}[${key}]` : `${at}.${String(key)}`), what);
  const code = issue.code === 'custom' ? (issue.params?.code as ModelGuardErrorCode | undefined) : undefined;
  const where = issue.code === 'unrecognized_keys' ? `${path} (${issue.keys.join(', ')})` : path;
  throw optionError(code ?? 'INVALID_ARGUMENT', where, issue.message);
}

/** Plain words for what is wrong, where a schema has none of its own: zod's `error`. */
export function wordsOf(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'is required';
      return `wants ${KINDS[issue.expected] ?? issue.expected}`;
    case 'too_small':
      if (issue.origin === 'string') return issue.minimum === 1 ? 'is empty' : `has fewer than ${issue.minimum} characters`;
      return `wants at least ${issue.minimum}`;
    case 'too_big':
      if (issue.origin === 'string') return `has more than ${issue.maximum} characters`;
      return `wants at most ${issue.maximum}`;
    case 'invalid_value':
      return `wants ${issue.values.map((one) => JSON.stringify(one)).join(' or ')}`;
    case 'unrecognized_keys':
      return 'is not known';
    default:
      return 'is not valid';
  }
}

const KINDS: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  nan: 'a number',
  string: 'text',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  record: 'an object',
};

/** A value whose kind is decided elsewhere; absent is not allowed unless the schema says optional. */
export const opaque = <Type>() => z.custom<Type>((value) => value !== undefined && value !== null, 'is required');

export const callable = z.custom<object>((value) => typeof value === 'function', 'wants a function');

export const objectWith = <Type>(what: string, ...methods: readonly string[]) =>
  z.custom<Type>(
    (value) =>
      typeof value === 'object' && value !== null && methods.every((name) => typeof Reflect.get(value, name) === 'function'),
    `wants ${what}`,
  );

export const filePath = text(MAX_PATH)
  .min(1, 'is empty')
  .refine((path) => !path.includes('\0'), 'holds a NUL character');

export const bytes = z.custom<Uint8Array>((value) => isUint8Array(value), 'wants a Uint8Array');

/** The most bytes that a typed array of Node 20 holds. */
export const MAX_BYTES = 2 ** 32;

/** Bytes that cannot be changed or shrunk while they are read. */
export const stableBytes = bytes.refine(
  ({ buffer }) => isArrayBuffer(buffer) && !(buffer as { resizable?: boolean }).resizable,
  'must not lie in a SharedArrayBuffer or a resizable ArrayBuffer: copy it first',
);

/** The bytes as they are now, for as long as an operation runs. `slice` of a Buffer would be a view of the caller's memory. */
export const copyOf = (bytes: Uint8Array, what: string): Uint8Array => new Uint8Array(parse(stableBytes, bytes, what));

export const signal = objectWith<AbortSignalLike>('an AbortSignal', 'addEventListener', 'removeEventListener');
