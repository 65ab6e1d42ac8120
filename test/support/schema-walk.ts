/** Walks zod schemas by their public definitions, whatever made them. */
import type { z } from 'zod';

export interface Leaf {
  /** `body.keys[]` */
  readonly path: string;
  readonly schema: z.core.$ZodType;
  readonly type: string;
  /** A value of the outermost schema in which `value` stands at this place, and nothing else does. */
  readonly around: (value: unknown) => unknown;
}
interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly element?: z.core.$ZodType;
  readonly items?: readonly z.core.$ZodType[];
  readonly options?: readonly z.core.$ZodType[];
  readonly keyType?: z.core.$ZodType;
  readonly valueType?: z.core.$ZodType;
  readonly innerType?: z.core.$ZodType;
  readonly in?: z.core.$ZodType;
  readonly out?: z.core.$ZodType;
}

/** Every schema in `schema`, itself included. Kinds that are not known here throw: a new one must be thought about. */
export function* leavesOf(
  schema: z.core.$ZodType,
  path: string,
  around: Leaf['around'] = (value) => value,
): Generator<Leaf, void, undefined> {
  const definition = schema._zod.def as Definition;
  const { type, shape = {}, element, items = [], options = [], keyType, valueType, innerType } = definition;
  yield { path, schema, type, around };
  switch (type) {
    case 'object':
      for (const [key, member] of Object.entries(shape))
        yield* leavesOf(member, `${path}.${key}`, (value) => around({ [key]: value }));
      return;
    case 'array':
      if (element) yield* leavesOf(element, `${path}[]`, (value) => around([value]));
      return;
    case 'tuple':
      for (const [at, item] of items.entries())
        yield* leavesOf(item, `${path}[${at}]`, (value) => around(items.map((_, index) => (index === at ? value : undefined))));
      return;
    case 'record':
      if (keyType) yield* leavesOf(keyType, `${path}{key}`, (value) => around({ [String(value)]: undefined }));
      if (valueType) yield* leavesOf(valueType, `${path}{value}`, (value) => around({ a: value }));
      return;
    case 'union':
      for (const option of options) yield* leavesOf(option, path, around);
      return;
    case 'pipe':
      if (definition.in) yield* leavesOf(definition.in, path, around);
      if (definition.out) yield* leavesOf(definition.out, path, around);
      return;
    case 'optional':
    case 'nullable':
    case 'default':
    case 'readonly':
      if (innerType) yield* leavesOf(innerType, path, around);
      return;
    case 'string':
    case 'number':
    case 'int':
    case 'boolean':
    case 'literal':
    case 'enum':
    case 'date':
    case 'custom':
    case 'transform':
      return;
    default:
      throw new TypeError(`${path} is a schema of the kind ${type}, of which this walk knows nothing`);
  }
}

/** The largest length that a schema of texts or lists states. */
export const maximumOf = (schema: z.core.$ZodType): number | undefined => {
  const { checks = [] } = schema._zod.def as { checks?: readonly z.core.$ZodCheck[] };
  const maxima = checks.flatMap(({ _zod: { def } }) => {
    const { check, maximum, length } = def as { check: string; maximum?: number; length?: number };
    return check === 'max_length' ? [maximum ?? Number.NaN] : check === 'length_equals' ? [length ?? Number.NaN] : [];
  });
  return maxima.length === 0 ? undefined : Math.min(...maxima);
};
