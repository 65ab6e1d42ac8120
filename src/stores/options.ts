/** References to models, and the schemas of stores that callers pass in. */
import { z } from 'zod';
import { MAX_NAME, name } from '../base/names.js';
import { matching } from '../base/schemas.js';
import { objectWith } from '../base/validate.js';
import type { ModelRef, PartStore } from './store.js';

const partStore = objectWith<PartStore>('a store', 'getSmall', 'putSmall', 'putBig', 'openBig', 'list', 'collect');

export const stores = z.union([partStore, z.strictObject({ small: partStore, big: partStore })], {
  error: 'wants a store, or { small, big } with a store each',
});

/** Refuses `net:3` in words of its own: image registries write versions so. */
const splitReference = (given: string, context: z.core.$RefinementCtx) => {
  // A longer text is no reference: its beginning is refused as a name.
  const start = given.slice(0, 2 * MAX_NAME);
  const [, named, version] = /^([^@:]+):([^@:]+)$/.exec(start) ?? [];
  if (named !== undefined) {
    const message = `${JSON.stringify(start.slice(0, 200))} is no reference; a version follows '@': ${JSON.stringify(`${named}@${version}`.slice(0, 200))}`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  }
  const at = start.indexOf('@');
  return at < 0 ? { name: start } : { name: start.slice(0, at), version: start.slice(at + 1) };
};

export const reference = z.preprocess(
  (value, context) => (typeof value === 'string' ? splitReference(value, context) : value),
  z.strictObject({ name, version: name.optional() }),
);

export const modelRef = z.strictObject({ name, version: name }) satisfies z.ZodType<ModelRef>;

/** `<payloadId>-<offset>` (docs/format.md, section 10). */
export const bigName = matching(49, /^[0-9a-f]{32}-(0|[1-9][0-9]{0,15})$/, '<payloadId>-<offset>');

/** Which model: `'name@version'`, or apart. Stores without a signed latest want the version. */
export type Reference = string | { readonly name: string; readonly version?: string | undefined };
