/**
 * Programs that must not compile; and that the schemas and the types of the public face say the same. Checked by `npm run
 * typecheck`.
 */
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import type { Checkpoint, RouteAnswer, RouteRequest, StatementBody } from '../src/contract/index.js';
import {
  type Account,
  type Archive,
  type Artifact,
  type ArtifactOptions,
  type AuditCheckpoint,
  type AuditEvent,
  type DecryptOptions,
  type Device,
  DeviceKey,
  type EncryptOptions,
  type Entitlement,
  type ExportMachineOptions,
  type FingerprintOptions,
  type GuardedModel,
  type GuardServerOptions,
  guardServer,
  type HttpStoreOptions,
  hardware,
  type Identity,
  type IssuedLease,
  type KeyRotation,
  type LoadOptions,
  load,
  type MachineDemand,
  MasterKey,
  type ModelVersion,
  memoryStore,
  type NewEntitlement,
  type NewUser,
  type PassphraseSource,
  type PersonalData,
  type ProtectOptions,
  protect,
  type ReadKeyOptions,
  type Recipient,
  type RegisterArchiveOptions,
  type RekeyOptions,
  type RewrapOptions,
  type S3StoreOptions,
  type SealedKeyOptions,
  type ServerEncryptionKey,
  SigningKey,
  type SplitRule,
  type UnlockOptions,
  type UserChange,
  VerifyingKey,
  type VerifyOptions,
} from '../src/index.js';
import type * as remoteOptions from '../src/remote/options.js';

type Schemas = typeof import('../src/protect.js') &
  typeof import('../src/load.js') &
  typeof import('../src/decrypt.js') &
  typeof import('../src/encrypt.js') &
  typeof import('../src/rekey.js') &
  typeof import('../src/rewrap.js') &
  typeof import('../src/verify.js') &
  typeof import('../src/export-machine.js') &
  typeof import('../src/fingerprint.js') &
  typeof import('../src/keys/files.js') &
  typeof import('../src/keys/passphrase.js') &
  typeof import('../src/keys/machine-policy.js') &
  typeof import('../src/recipients/hardware.js') &
  typeof import('../src/engine/artifact.js') &
  typeof import('../src/engine/options.js') &
  typeof import('../src/split.js') &
  typeof import('../src/stores/http.js') &
  typeof import('../src/stores/s3/options.js') &
  typeof remoteOptions;
type Input<Name extends keyof Schemas> = Schemas[Name] extends z.ZodType ? z.input<Schemas[Name]> : never;
/** Each accepts what the other does; the schemas' lists are mutable, and a reference is checked as unknown. */
type Mutable<Type> = Type extends readonly (infer Item)[] ? Item[] : Type;
type Loose<Type> = { -readonly [Key in keyof Type]: Key extends 'ref' ? unknown : Mutable<Type[Key]> };
type Same<Schema, Public> =
  Loose<Schema> extends Loose<Public> ? (Loose<Public> extends Loose<Schema> ? true : 'schema wants more') : 'schema allows more';

/** Members and their types, whether they may be changed or not. */
type Shown<Type> = {
  [Key in keyof Type]-?: Type[Key] extends object | undefined
    ? Shown<Exclude<Type[Key], undefined>>
    : Exclude<Type[Key], undefined>;
} extends infer Plain
  ? { -readonly [Key in keyof Plain]: Plain[Key] }
  : never;

describe('types', () => {
  it('are those that the schemas check', () => {
    expectTypeOf<Same<Input<'protectOptions'>, ProtectOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'loadOptions'>, LoadOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'decryptOptions'>, DecryptOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'encryptOptions'>, EncryptOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'artifactOptions'>, ArtifactOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'artifactSchema'>, Artifact>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'rekeyOptions'>, RekeyOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'rewrapOptions'>, RewrapOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'verifyOptions'>, VerifyOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'passphraseSource'>, PassphraseSource>>().toEqualTypeOf<true>();
    expectTypeOf<Same<NonNullable<Input<'readKeyOptions'>>, ReadKeyOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<NonNullable<Input<'splitOptions'>>, SplitRule>>().toEqualTypeOf<true>();
    expectTypeOf<Same<NonNullable<Input<'exportMachineOptions'>>, ExportMachineOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'sealedKeyOptions'>, SealedKeyOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<NonNullable<Input<'machineDemand'>>, MachineDemand>>().toEqualTypeOf<true>();
    expectTypeOf<Same<NonNullable<Input<'fingerprintOptions'>>, FingerprintOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'s3StoreOptions'>, S3StoreOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<NonNullable<Input<'httpStoreOptions'>>, HttpStoreOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'guardServerOptions'>, GuardServerOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'unlockOptions'>, UnlockOptions>>().toEqualTypeOf<true>();
    expectTypeOf<Same<Input<'registerArchiveOptions'>, RegisterArchiveOptions>>().toEqualTypeOf<true>();
  });

  it('have the same members as the schemas', () => {
    expectTypeOf<keyof Input<'protectOptions'>>().toEqualTypeOf<keyof ProtectOptions>();
    expectTypeOf<keyof Input<'loadOptions'>>().toEqualTypeOf<keyof LoadOptions>();
    expectTypeOf<keyof Input<'decryptOptions'>>().toEqualTypeOf<keyof DecryptOptions>();
    expectTypeOf<keyof Input<'encryptOptions'>>().toEqualTypeOf<keyof EncryptOptions>();
    expectTypeOf<keyof Input<'artifactOptions'>>().toEqualTypeOf<keyof ArtifactOptions>();
    expectTypeOf<keyof Input<'rekeyOptions'>>().toEqualTypeOf<keyof RekeyOptions>();
    expectTypeOf<keyof Input<'rewrapOptions'>>().toEqualTypeOf<keyof RewrapOptions>();
    expectTypeOf<keyof Input<'verifyOptions'>>().toEqualTypeOf<keyof VerifyOptions>();
    expectTypeOf<keyof NonNullable<Input<'exportMachineOptions'>>>().toEqualTypeOf<keyof ExportMachineOptions>();
    expectTypeOf<keyof Input<'sealedKeyOptions'>>().toEqualTypeOf<keyof SealedKeyOptions>();
    expectTypeOf<keyof NonNullable<Input<'machineDemand'>>>().toEqualTypeOf<keyof MachineDemand>();
    expectTypeOf<keyof NonNullable<Input<'fingerprintOptions'>>>().toEqualTypeOf<keyof FingerprintOptions>();
    expectTypeOf<keyof Input<'s3StoreOptions'>>().toEqualTypeOf<keyof S3StoreOptions>();
    expectTypeOf<keyof NonNullable<Input<'httpStoreOptions'>>>().toEqualTypeOf<keyof HttpStoreOptions>();
    expectTypeOf<keyof Input<'guardServerOptions'>>().toEqualTypeOf<keyof GuardServerOptions>();
    expectTypeOf<keyof Input<'unlockOptions'>>().toEqualTypeOf<keyof UnlockOptions>();
    expectTypeOf<keyof Input<'registerArchiveOptions'>>().toEqualTypeOf<keyof RegisterArchiveOptions>();
  });

  it('of the guard server are those of its contract', () => {
    expectTypeOf<Shown<RouteAnswer<'account'>>>().toEqualTypeOf<Shown<Account>>();
    expectTypeOf<Shown<RouteAnswer<'getDevice'>>>().toEqualTypeOf<Shown<Device>>();
    expectTypeOf<Shown<RouteAnswer<'createEntitlement'>>>().toEqualTypeOf<Shown<Entitlement>>();
    expectTypeOf<Shown<RouteAnswer<'getVersion'>>>().toEqualTypeOf<Shown<ModelVersion>>();
    expectTypeOf<Shown<RouteAnswer<'listLeases'>['items'][number]>>().toEqualTypeOf<Shown<IssuedLease>>();
    expectTypeOf<Shown<RouteAnswer<'getArchive'>>>().toEqualTypeOf<Shown<Archive>>();
    expectTypeOf<Shown<RouteAnswer<'getRotation'>>>().toEqualTypeOf<Shown<KeyRotation>>();
    expectTypeOf<Shown<RouteAnswer<'auditEvents'>['items'][number]>>().toEqualTypeOf<Shown<AuditEvent>>();
    expectTypeOf<Exclude<keyof RouteAnswer<'exportOwnData'>, 'next'>>().toEqualTypeOf<keyof PersonalData>();
    expectTypeOf<Shown<Checkpoint>>().toEqualTypeOf<Shown<AuditCheckpoint>>();
    expectTypeOf<StatementBody<'server'>['keys'][number]>().toExtend<ServerEncryptionKey>();
    expectTypeOf<keyof NewEntitlement>().toEqualTypeOf<keyof RouteRequest<'createEntitlement'>['body']>();
    expectTypeOf<keyof NewUser>().toEqualTypeOf<keyof RouteRequest<'createUser'>['body']>();
    expectTypeOf<keyof UserChange>().toEqualTypeOf<keyof RouteRequest<'updateUser'>['body']>();
  });

  it('refuse what makes no sense', () => {
    const from = memoryStore();
    const key = MasterKey.generate();
    const never = (): unknown[] => [
      // @ts-expect-error a signing key opens nothing
      load('a@1', { from, identities: [SigningKey.generate()], unsigned: 'accept' }),
      // @ts-expect-error a public key opens nothing
      load('a@1', { from, identities: ['mgx1:'], unsigned: 'accept' }),
      // @ts-expect-error a verifier is public
      load('a@1', { from, identities: [key], verifier: SigningKey.generate() }),
      // @ts-expect-error nothing else is accepted
      load('a@1', { from, identities: [key], unsigned: true }),
      // @ts-expect-error a model is bytes, or has a path as well
      load('a@1', { from, identities: [key], unsigned: 'accept', as: 'file' }),
      // @ts-expect-error a model has a version
      protect('x', { name: 'a', recipients: [key], to: from }),
      // @ts-expect-error a master key signs nothing
      protect('x', { name: 'a', version: '1', recipients: [key], to: from, signer: key }),
      // @ts-expect-error a verifying key opens nothing, so nothing is encrypted to it
      protect('x', { name: 'a', version: '1', recipients: [new VerifyingKey('mgs1:')], to: from }),
      // @ts-expect-error half a pair
      protect('x', { name: 'a', version: '1', recipients: [key], to: { small: from } }),
      // @ts-expect-error a machine signs nothing
      protect('x', { name: 'a', version: '1', recipients: [key], to: from, signer: hardware() }),
      // @ts-expect-error a demand names known factors
      hardware('machine.json', { require: ['colour'] }),
      // @ts-expect-error a sealed key needs a place
      DeviceKey.generate({ tpm: 'required' }),
      // @ts-expect-error nothing is believed of a server without its key
      guardServer({ url: 'https://guard.example.org' }),
      // @ts-expect-error TLS is always verified
      guardServer({ url: 'https://guard.example.org', serverKey: 'mgs1:', tls: { rejectUnauthorized: false } }),
      // @ts-expect-error a rollback is accepted or it is not
      guardServer({ url: 'https://guard.example.org', serverKey: 'mgs1:', rollback: true }),
      // @ts-expect-error keys are generated or read, never constructed
      new MasterKey({}),
    ];
    expect(never).toBeTypeOf('function');
    expectTypeOf(SigningKey.generate()).not.toExtend<Identity>();
    expectTypeOf(DeviceKey.generate()).toExtend<Identity>();
    expectTypeOf(hardware()).toExtend<Identity & Recipient>();
    expectTypeOf(() => DeviceKey.generate({ path: 'x' })).returns.toEqualTypeOf<Promise<DeviceKey>>();
    expectTypeOf(() => DeviceKey.generate()).returns.toEqualTypeOf<DeviceKey>();
    expectTypeOf<GuardedModel['bytes']>().toEqualTypeOf<Uint8Array>();
    expectTypeOf<GuardedModel>().toExtend<Disposable & AsyncDisposable>();
  });
});
