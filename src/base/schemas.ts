/**
 * Text, lists and records with a largest length. They are the only ones that schemas are built from: zod runs every check of a text and
 * parses every element of a list before it reports the length, and a pattern, a normalisation or an element costs time by the byte. Here
 * the length is checked first, and nothing else runs after it failed.
 */
import { z } from 'zod';

/** A code point has at most two UTF-16 units, so that a longer text is too long without counting. */
const UNITS = 2;

/** @param max Code points. */
export const text = (max: number): z.ZodString =>
  z
    .string()
    .check(({ value, issues }) => {
      if (value.length > max * UNITS)
        issues.push({ code: 'too_big', origin: 'string', maximum: max, inclusive: true, input: value, continue: false });
    })
    .max(max, { abort: true });

/**
 * Text by a pattern.
 * @param what Completes «is not …».
 */
export const matching = (max: number, pattern: RegExp, what: string): z.ZodString => text(max).regex(pattern, `is not ${what}`);

/** Digits of the largest safe integer. */
const LONGEST_NUMBER = 16;
/** A whole number that a query carries as digits. */
export const countOf = (min: number, max: number): z.ZodType<number, number> =>
  z.preprocess(
    (value) => (typeof value === 'string' && value.length <= LONGEST_NUMBER && /^[0-9]+$/.test(value) ? Number(value) : value),
    z.int().min(min).max(max),
  ) as unknown as z.ZodType<number, number>;

/** The part of zod's internals that the classes below change, for schemas that hold other schemas. */
interface Internals {
  readonly def: { readonly most?: number };
  parse(payload: z.core.ParsePayload, context: z.core.ParseContextInternal): unknown;
}

/** Refuses what is too long before any member of it is parsed. */
function boundFirst(internals: Internals, origin: 'array' | 'record', sizeOf: (value: unknown) => number): void {
  const { parse, def } = internals;
  const maximum = def.most ?? 0;
  internals.parse = (payload, context) => {
    const { value: input } = payload;
    if (sizeOf(input) <= maximum) return parse(payload, context);
    payload.issues.push({
      code: 'too_big',
      origin: origin === 'array' ? 'array' : 'object',
      maximum,
      inclusive: true,
      input,
      continue: false,
    });
    return payload;
  };
}

/** Classes, not wrappers: zod makes a copy of a schema for every further check, by its class. */
const BoundedArray = z.core.$constructor<z.ZodArray>('BoundedArray', (schema, def) => {
  z.ZodArray.init(schema, def);
  const internals = schema._zod as Internals;
  boundFirst(internals, 'array', (value) => (value as readonly unknown[]).length);
  const { parse } = internals;
  internals.parse = (payload, context) => {
    if (Array.isArray(payload.value)) return parse(payload, context);
    // Final: checks of a length would count the characters of a text that stands here.
    payload.issues.push({ code: 'invalid_type', expected: 'array', input: payload.value, continue: false });
    return payload;
  };
});
const BoundedRecord = z.core.$constructor<z.ZodRecord>('BoundedRecord', (schema, def) => {
  z.ZodRecord.init(schema, def);
  const longestKey = ((def.keyType as z.ZodString).maxLength ?? 0) * UNITS;
  boundFirst(schema._zod as Internals, 'record', (value) => {
    if (typeof value !== 'object' || value === null) return 0;
    const keys = Object.keys(value);
    // zod looks whether a key is a number before it looks at the schema of keys.
    return keys.some((key) => key.length > longestKey) ? Number.POSITIVE_INFINITY : keys.length;
  });
});

/** @param most Elements. */
export function list<Item extends z.ZodType>(element: Item, most: number): z.ZodArray<Item> {
  const def = { type: 'array' as const, element, most };
  return new BoundedArray(def).max(most) as unknown as z.ZodArray<Item>;
}

/** @param most Members. */
export function record<Value extends z.ZodType>(keyType: z.ZodString, valueType: Value, most: number) {
  const def = { type: 'record' as const, keyType, valueType, most };
  return new BoundedRecord(def) as unknown as z.ZodRecord<z.ZodString, Value>;
}
