/** The client reads no more of an answer than its route can need. If these fail, a server fills the memory of its clients. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Route, routes } from '../../src/contract/index.js';
import { maximumOf } from '../support/schema-walk.js';

const MIB = 1024 * 1024;

interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly element?: z.core.$ZodType;
  readonly options?: readonly z.core.$ZodType[];
  readonly innerType?: z.core.$ZodType;
  readonly values?: readonly unknown[];
  readonly entries?: Readonly<Record<string, string>>;
}

/** Bytes of the largest JSON of a schema, where every character of a text takes one, which is how long texts come. */
function largest(schema: z.core.$ZodType, items: number): number {
  const { type, shape = {}, element, options = [], innerType, entries = {} } = schema._zod.def as Definition;
  if (type === 'string') return (maximumOf(schema) ?? Number.NaN) + 2;
  if (type === 'object')
    return Object.entries(shape).reduce((sum, [key, member]) => sum + key.length + 4 + largest(member, items), 2);
  if (type === 'array')
    return 2 + Math.min(maximumOf(schema) ?? Number.NaN, items) * (largest(element as z.core.$ZodType, items) + 1);
  if (type === 'union') return Math.max(...options.map((option) => largest(option, items)));
  if (type === 'optional' || type === 'default') return largest(innerType as z.core.$ZodType, items);
  if (type === 'enum') return Math.max(...Object.values(entries).map((value) => value.length + 2));
  if (['number', 'int', 'boolean', 'literal'].includes(type)) return 20;
  throw new TypeError(`the size of ${type} is not known here`);
}

const answers = Object.entries(routes as Readonly<Record<string, Route>>).flatMap(([name, { response, maxAnswer }]) =>
  response instanceof z.core.$ZodType ? [[name, response, maxAnswer ?? 64 * 1024] as const] : [],
);

describe('the bound of an answer', () => {
  it.each(answers)('is enough for what the route can need, and for little more: %s', (name, response, bound) => {
    // A page, all pieces of an upload, a thousand signing keys that are never made: as many as come together.
    const items = name === 'beginUpload' ? 10_000 : name === 'server' || name === 'serverKey' ? 10 : name === 'jwks' ? 1 : 500;
    const need = largest(response, items);
    // The lists of an export are as long as the log: 32 MiB of them are enough.
    if (!name.startsWith('export')) expect(need).toBeLessThanOrEqual(bound);
    expect(bound).toBeLessThanOrEqual(name.startsWith('export') ? 32 * MIB : name === 'takeLease' ? 25 * MIB : 8 * MIB);
  });

  it('lets the largest small part through', () => {
    const { maxAnswer } = routes.takeLease as Route;
    expect(maxAnswer).toBeGreaterThan((17 * MIB * 4) / 3 + 64 * 1024);
  });
});
