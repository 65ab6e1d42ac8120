/** Lengths are checked before anything that costs time by the byte. If these fail, one request of a few kilobytes holds the process up. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { settings } from '../../server/src/start/config.js';
import { normaliseName } from '../../src/base/names.js';
import { list, record, text } from '../../src/base/schemas.js';
import { type Route, routes, shapes } from '../../src/contract/index.js';
import { statements } from '../../src/contract/proof.js';
import { decodeKey } from '../../src/keys/text.js';
import { costlyCalls } from '../support/costly-calls.js';
import { type Leaf, leavesOf, maximumOf } from '../support/schema-walk.js';

const isSchema = (value: unknown): value is z.ZodType => value instanceof z.core.$ZodType;
const schemasIn = (module: object, of: string): [string, z.ZodType][] =>
  Object.entries(module).flatMap(([name, value]) => (isSchema(value) ? [[`${of}.${name}`, value] as [string, z.ZodType]] : []));

const ofRoutes = Object.entries(routes as Readonly<Record<string, Route>>).flatMap(([name, route]) =>
  (['params', 'query', 'body', 'response'] as const).flatMap((place) => {
    const schema = route[place];
    return isSchema(schema) ? [[`${name}.${place}`, schema] as [string, z.ZodType]] : [];
  }),
);
/** Every module that makes schemas, but for the contract's. */
const source = fileURLToPath(new URL('../../src', import.meta.url));
const makers = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
  (name) =>
    name.endsWith('.ts') && !name.startsWith('contract') && readFileSync(join(source, name), 'utf8').includes("from 'zod'"),
);
const ofOptions = (
  await Promise.all(makers.map(async (name) => schemasIn((await import(join(source, name))) as object, name)))
).flat();
const roots: readonly [string, z.ZodType][] = [
  ...ofRoutes,
  ...schemasIn(shapes, 'shapes'),
  ...schemasIn(statements, 'statements'),
  ...ofOptions,
  ['settings of the server', settings],
];
const leaves: readonly (Leaf & { readonly root: z.ZodType })[] = roots.flatMap(([name, root]) =>
  [...leavesOf(root, name)].map((leaf) => ({ ...leaf, root })),
);

/** Costly to normalise, and of no pattern; no pattern or parser is given more of it than the bound, in UTF-16 units of any code point. */
const FILL = `${'\u0300'.repeat(5)}\u0316`;
const LONGEST_TRIED = 50_000_000;
const UNITS = 2;
const tooMuchOf = (bound: number): string => FILL.repeat(Math.ceil(Math.min(bound * 1000, LONGEST_TRIED) / FILL.length));
const isFill = (given: string): boolean => given.includes(FILL) || given.includes('aaaaaaaa');

describe('every schema', () => {
  it('is walked', () => {
    expect(ofRoutes.length).toBeGreaterThan(60);
    expect(ofOptions.length).toBeGreaterThan(60);
    expect(leaves.filter(({ type }) => type === 'string').length).toBeGreaterThan(300);
    expect(leaves.filter(({ type }) => type === 'array').length).toBeGreaterThan(30);
  });

  it('names the largest length of each of its texts and lists', () => {
    const bounded = leaves.filter(({ type }) => type === 'string' || type === 'array');
    const unbounded = bounded.filter(({ schema }) => !Number.isSafeInteger(maximumOf(schema)));
    expect(unbounded.map(({ path }) => path)).toEqual([]);
  });

  it('is made of texts, lists and records that check their length first, and of no others', () => {
    const folders = ['../../src', '../../server/src'].map((folder) => fileURLToPath(new URL(folder, import.meta.url)));
    const sources = folders.flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
    );
    const others = sources
      .filter((path) => path.endsWith('.ts') && !path.endsWith('src/base/schemas.ts'))
      .filter((path) => /\bz\s*\.\s*(coerce|string|array|record|map|set|unknown)\b/.test(readFileSync(path, 'utf8')));
    expect(others).toEqual([]);
  });

  it.each(leaves.filter(({ type }) => type === 'string').map((leaf) => [leaf.path, leaf] as const))(
    '%s: no pattern, normalisation or parser is given more than the bound',
    async (_, { schema, root, around }) => {
      const bound = maximumOf(schema) ?? 0;
      for (const given of [tooMuchOf(bound), 'a'.repeat(Math.min(bound * 1000, LONGEST_TRIED))]) {
        let refused = false;
        const calls = await costlyCalls(() => {
          refused = !root.safeParse(around(given)).success;
        }, isFill);
        expect(refused).toBe(true);
        // A union tries each of its texts, so that another one's bound may count.
        const most = Math.max(
          ...leaves.filter((leaf) => leaf.root === root && leaf.type === 'string').map((leaf) => maximumOf(leaf.schema) ?? 0),
        );
        expect(Math.max(0, ...calls.map(({ length }) => length))).toBeLessThanOrEqual(UNITS * most);
        expect(most === bound ? [] : calls.filter(({ length }) => length === given.length)).toEqual([]);
      }
    },
  );
});

describe('what is too long', () => {
  const seen: number[] = [];
  const noting = z.custom<unknown>((value) => {
    seen.push(Number(value));
    return true;
  });

  it('of a list is refused before any element is looked at, also where more is asked of it', () => {
    seen.length = 0;
    const shape = list(noting, 3).min(1).optional();
    expect(shape.safeParse([1, 2, 3, 4]).success).toBe(false);
    expect(seen).toEqual([]);
    expect(shape.safeParse([1, 2, 3]).success).toBe(true);
    expect(seen).toEqual([1, 2, 3]);
    expect(shape.safeParse([]).success).toBe(false);
  });

  it('of a record is refused before any member is looked at', () => {
    seen.length = 0;
    const shape = record(text(5), noting, 2);
    expect(shape.safeParse({ a: 1, b: 2, c: 3 }).success).toBe(false);
    expect(seen).toEqual([]);
    expect(shape.safeParse({ a: 1, b: 2 }).success).toBe(true);
  });

  it('is counted in code points, and what fits exactly passes', () => {
    const shape = text(3);
    expect(['abc', '😀😀😀', ''].map((given) => shape.safeParse(given).success)).toEqual([true, true, true]);
    expect(['abcd', '😀😀😀😀', '😀'.repeat(3000)].map((given) => shape.safeParse(given).success)).toEqual([false, false, false]);
  });

  it('of a name is not normalised whole to propose another one', async () => {
    const calls = await costlyCalls(() => normaliseName(FILL.repeat(10_000)), isFill);
    expect(Math.max(...calls.map(({ length }) => length))).toBeLessThanOrEqual(1024);
  });

  it('of a key is not decoded', async () => {
    const key = `mgs1:${'a'.repeat(100_000)}`;
    const calls = await costlyCalls(() => expect(() => decodeKey(key, ['mgs1:'])).toThrow(), isFill);
    expect(Math.max(...calls.map(({ length }) => length))).toBeLessThanOrEqual(128);
  });
});
