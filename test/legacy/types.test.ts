/** The schemas and the types of the legacy profile have the same members, and what makes no sense does not compile. */
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import {
  MasterKey,
  type MigratedSource,
  type MigrateToFileOptions,
  type MigrateToStoreOptions,
  memoryStore,
  migrate,
  type ProtectedModel,
  protect,
  type SealedFile,
} from '../../src/index.js';
import {
  type DerivationOptions,
  type DownloadKeyOptions,
  encrypt,
  type HardwareHashOptions,
  type LegacyCopyOptions,
  type LegacyDecryptOptions,
  type LegacyEncryptFileOptions,
  LegacyKey,
  type LegacySplitFileOptions,
  type LegacySplitRule,
  type LegacyStreamOptions,
  type LegacyText,
  split,
} from '../../src/legacy/index.js';

import type { migrateOptions } from '../../src/migrate.js';

type Schemas = typeof import('../../src/legacy/options.js') &
  typeof import('../../src/legacy/derivation.js') &
  typeof import('../../src/legacy/text.js') &
  typeof import('../../src/legacy/key.js');
type Input<Name extends keyof Schemas> = Schemas[Name] extends z.ZodType ? NonNullable<z.input<Schemas[Name]>> : never;
/** Each accepts what the other does, and no member is unknown to one of them. */
type Same<Schema, Public> = [Schema, Public, keyof Schema] extends [Public, Schema, keyof Public]
  ? [keyof Public] extends [keyof Schema]
    ? true
    : 'schema has fewer members'
  : 'schema and type differ';

describe('types', () => {
  it('are those that the schemas check', () => {
    expectTypeOf<Same<Input<'legacyText'>, LegacyText>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'derivationOptions'>, DerivationOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'hardwareHashOptions'>, HardwareHashOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'downloadKeyOptions'>, DownloadKeyOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'legacyEncryptFileOptions'>, LegacyEncryptFileOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'legacyDecryptOptions'>, LegacyDecryptOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'legacyStreamOptions'>, LegacyStreamOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'legacySplitRule'>, LegacySplitRule>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'legacyCopyOptions'>, LegacyCopyOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'legacySplitFileOptions'>, LegacySplitFileOptions>>().toEqualTypeOf<true>();
    expectTypeOf<keyof z.input<typeof migrateOptions>>().toEqualTypeOf<
      keyof MigrateToStoreOptions | keyof MigrateToFileOptions
    >();
  });

  it('tell what migrate made by where it went', () => {
    const options = { name: 'a', version: '1', recipients: [MasterKey.generate()] };
    const toStore = (key: LegacyKey) => migrate('a', { ...options, key, to: memoryStore() });
    const toFile = (key: LegacyKey) => migrate('a', { ...options, key, out: 'b' });
    expectTypeOf(toStore).returns.toEqualTypeOf<Promise<ProtectedModel & MigratedSource>>();
    expectTypeOf(toFile).returns.toEqualTypeOf<Promise<SealedFile & MigratedSource>>();
  });

  it('refuse what makes no sense', () => {
    const master = MasterKey.generate();
    const never = (key: LegacyKey): unknown[] => [
      // @ts-expect-error a master key is no key of the legacy profile
      encrypt(new Uint8Array(), { key: master }),
      // @ts-expect-error nothing is protected for a key of the legacy profile
      protect('x', { name: 'a', version: '1', recipients: [key], to: memoryStore() }),
      // @ts-expect-error text has to be said to be text
      LegacyKey.fromKeyString('the key'),
      // @ts-expect-error the sources cut at two ratios
      split(new Uint8Array(32), { ratio: 0.5 }),
      // @ts-expect-error a container file has recipients
      migrate('a', { name: 'a', version: '1', key, out: 'b' }),
      // @ts-expect-error keys are read or derived, never constructed
      new LegacyKey({}),
    ];
    expect(never).toBeTypeOf('function');
  });
});
