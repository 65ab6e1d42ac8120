/** The JSON of the format: RFC 8785, of which only objects, arrays, strings and small integers occur. */
import { must, refuse, utf8 } from './bytes.js';

export type Json = string | number | readonly Json[] | { readonly [member: string]: Json };

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function isObject(value: Json): value is { readonly [member: string]: Json } {
  return typeof value === 'object' && !Array.isArray(value);
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** Canonical text. Members are sorted by UTF-16 code units, which is what `<` on strings compares. */
export function encodeJson(value: Json): string {
  if (typeof value === 'string') {
    must(!/\p{Surrogate}/u.test(value), 'a string holds half of a surrogate pair');
    return JSON.stringify(value);
  }
  if (typeof value === 'number') {
    must(Number.isSafeInteger(value) && value >= 0, `${value} is no integer from 0 to 2^53 - 1`);
    return String(value);
  }
  if (isList(value)) return `[${value.map(encodeJson).join(',')}]`;
  if (!isObject(value)) return refuse('a value of another kind');
  const members = Object.keys(value)
    .sort((a, b) => (a < b ? -1 : 1))
    .map((name) => `${encodeJson(name)}:${encodeJson(member(value, name))}`);
  return `{${members.join(',')}}`;
}

export const writeJson = (value: Json): Uint8Array => utf8(encodeJson(value));

/** Parses, encodes again, and refuses unless the bytes are equal. */
export function parseJson(bytes: Uint8Array): Json {
  let text: string;
  let parsed: unknown;
  try {
    text = decoder.decode(bytes);
    parsed = JSON.parse(text);
  } catch {
    return refuse('not JSON in UTF-8');
  }
  const value = narrow(parsed, 1);
  must(encodeJson(value) === text, 'not in canonical form');
  return value;
}

function narrow(value: unknown, depth: number): Json {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') {
    must(Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0), 'no integer from 0 to 2^53 - 1');
    return value;
  }
  must(typeof value === 'object' && value !== null, 'a value of another kind');
  must(depth <= 8, 'nested more than 8 deep');
  if (Array.isArray(value)) return value.map((item: unknown) => narrow(item, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([name, item]: [string, unknown]) => [name, narrow(item, depth + 1)]));
}

/** Exactly these members, no other. */
export function exactly(value: Json, names: readonly string[]): { readonly [member: string]: Json } {
  must(isObject(value), 'not an object');
  const found = Object.keys(value).sort();
  must(found.join() === [...names].sort().join(), `members ${found.join()} instead of ${names.join()}`);
  return value;
}

export function member(object: { readonly [member: string]: Json }, name: string): Json {
  const value = object[name];
  must(value !== undefined && Object.hasOwn(object, name), `${name} is missing`);
  return value;
}

export function text(object: { readonly [member: string]: Json }, name: string): string {
  const value = member(object, name);
  must(typeof value === 'string', `${name} is no string`);
  return value;
}

export function integer(object: { readonly [member: string]: Json }, name: string): number {
  const value = member(object, name);
  must(typeof value === 'number', `${name} is no integer`);
  return value;
}
