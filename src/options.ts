/**
 * The zod schemas of the public face; audit/, remote/ and legacy/ have their own `options.ts`. They check shapes and ranges; what a key is,
 * `keys/resolve.ts` decides. The types themselves stand in `types.ts`, because zod's own declarations need libraries that
 * consumers of ours may not have.
 */
import { isArrayBuffer, isDate, isUint8Array } from 'node:util/types';
import { z } from 'zod';
import type { AbortSignalLike } from './abort.js';
import { list, matching, record, text } from './bounded.js';
import { type ModelGuardErrorCode, optionError } from './errors.js';
import type { LegacyKey } from './legacy/key.js';
import { MAX_PATH, MAX_PEM, MAX_URL } from './limits.js';
import { isName, normaliseName } from './names.js';
import type { Progress } from './native/work.js';
import type { S3KeyPairs, S3KeySource, S3Keys } from './stores/s3/types.js';
import type { BigPartSource, ModelRef, PartStore } from './stores/store.js';
import type * as T from './types.js';

const MAX_KEYS = 32;
const MAX_THREADS = 1024;
const MAX_SMALL_BYTES = 16 * 1024 * 1024;
const MAX_RATIO = 0.9;
const MAX_WEIGHT = 16;
const MAX_PCR = 23;
/** More than 32 passphrases and 32 slots of six factors can take. */
const MAX_DERIVATIONS = 1024;
const MAX_TIMEOUT_MS = 24 * 60 * 60 * 1000;
/** What S3 takes as any but the last piece of an upload. */
const MIN_PIECE = 5 * 1024 * 1024;
const MAX_PIECE = 1024 * 1024 * 1024;
/** As many as our transport opens to one host. */
const MAX_CONNECTIONS = 16;

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

/** Plain words for what is wrong, where a schema has none of its own. */
function wordsOf(issue: z.core.$ZodRawIssue): string {
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

export const has = <Type>(what: string, ...methods: readonly string[]) =>
  z.custom<Type>(
    (value) =>
      typeof value === 'object' && value !== null && methods.every((name) => typeof Reflect.get(value, name) === 'function'),
    `wants ${what}`,
  );

/** Longer than a name may be: one that is a little too long is told what would fit. */
const MAX_NAME = 1024;
export const name = text(MAX_NAME).superRefine((given, context) => {
  if (isName(given)) return;
  context.addIssue({
    code: 'custom',
    params: { code: 'NAME_INVALID' satisfies ModelGuardErrorCode },
    message: `${JSON.stringify(given.slice(0, 200))} does not match [a-z0-9][a-z0-9._-]{0,127}; ${JSON.stringify(normaliseName(given))} would`,
  });
});

export const filePath = text(MAX_PATH)
  .min(1, 'is empty')
  .refine((path) => !path.includes('\0'), 'holds a NUL character');

export const bytes = z.custom<Uint8Array>((value) => isUint8Array(value), 'wants a Uint8Array');

/** What a typed array of Node 20 can hold. */
export const MAX_BYTES = 2 ** 32;

/** Bytes that nobody can change or shrink while they are read. */
export const stableBytes = bytes.refine(
  ({ buffer }) => isArrayBuffer(buffer) && !(buffer as { resizable?: boolean }).resizable,
  'must not lie in a SharedArrayBuffer or a resizable ArrayBuffer: copy it first',
);

/** The bytes as they are now, for as long as an operation runs. `slice` of a Buffer would be a view of the caller's memory. */
export const copyOf = (bytes: Uint8Array, what: string): Uint8Array => new Uint8Array(parse(stableBytes, bytes, what));

export const signal = has<AbortSignalLike>('an AbortSignal', 'addEventListener', 'removeEventListener');
export const run = {
  threads: z.int().min(1).max(MAX_THREADS).optional(),
  onProgress: z.custom<(progress: Progress) => void>((value) => typeof value === 'function', 'wants a function').optional(),
  signal: signal.optional(),
};

const recipients = list(opaque<T.Recipient>(), MAX_KEYS).min(1);
const identities = list(opaque<T.Identity>(), MAX_KEYS).min(1);
const maxDerivations = z.int().min(0).max(MAX_DERIVATIONS).optional();
export const verifier = opaque<T.Verifier>();
const seal = { ...run, recipients: recipients.optional(), signer: opaque<NonNullable<T.SealOptions['signer']>>().optional() };
const origin = { verifier: verifier.optional(), unsigned: z.literal('accept').optional(), leaseKeys: verifier.optional() };

/** Neither is left to the caller's code: the store's defaults may still bring a verifier. */
export const oneOrigin = (options: { readonly verifier?: unknown; readonly unsigned?: unknown }) =>
  options.verifier === undefined || options.unsigned === undefined;
export const ONE_ORIGIN = "verifier and unsigned: 'accept' exclude each other";

/** Bytes are told apart first: they have as many keys as bytes, and an object of the wrong shape has each of them named. */
export const partFiles = z
  .custom<T.PartFiles>((value) => !isUint8Array(value), 'wants { small, big } with a path each')
  .pipe(z.strictObject({ small: filePath, big: filePath }));
const split = z.strictObject({
  maxBytes: z.int().min(0).max(MAX_SMALL_BYTES).optional(),
  ratio: z.number().min(0).max(MAX_RATIO).optional(),
});

const partStore = has<PartStore>('a store', 'getSmall', 'putSmall', 'putBig', 'openBig', 'list', 'collect');
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

export const protectOptions = z.strictObject({
  ...seal,
  name,
  version: name,
  to: stores,
  overwrite: z.boolean().optional(),
  split: split.optional(),
  format: name.optional(),
  followLinks: z.boolean().optional(),
  resume: filePath.optional(),
});

const digest = matching(64, /^[0-9a-f]{64}$/i, '64 hex digits');
export const legacySource = z.union([bytes, filePath, partFiles], {
  error: 'wants bytes, a path, or { small, big } with a path each',
});
export const migrateOptions = z
  .strictObject({
    ...seal,
    key: opaque<LegacyKey>(),
    name,
    version: name,
    fileName: filePath.optional(),
    format: name.optional(),
    to: stores.optional(),
    out: filePath.optional(),
    split: split.optional(),
    overwrite: z.boolean().optional(),
    plaintextSha256: digest.optional(),
  })
  .refine(({ to, out }) => (to === undefined) !== (out === undefined), 'wants exactly one of to, out')
  .refine(({ out, recipients }) => out === undefined || recipients !== undefined, 'recipients are required with out')
  .refine(
    (options) => options.out === undefined || options.split === undefined,
    'split is for stores: a container file is whole',
  );

export const cacheOptions = z.strictObject({ folder: filePath.optional(), maxBytes: z.int().min(0).optional() });
export const loadOptions = z
  .strictObject({
    ...run,
    ...origin,
    from: stores,
    identities: identities.optional(),
    maxDerivations,
    cache: z.union([z.literal(false), cacheOptions], { error: 'wants false, or { folder, maxBytes }' }).optional(),
  })
  .refine(oneOrigin, ONE_ORIGIN);

const encryptShape = { ...seal, recipients, name: name.optional(), version: name.optional(), format: name.optional() };
export const encryptOptions = z.strictObject(encryptShape);
export const encryptFileOptions = z.strictObject({
  ...encryptShape,
  overwrite: z.boolean().optional(),
  followLinks: z.boolean().optional(),
});

export const decryptOptions = z
  .strictObject({ ...run, ...origin, identities, maxDerivations, ref: reference.optional() })
  .refine(oneOrigin, ONE_ORIGIN);

export const splitOptions = split.optional();
export const splitFileOptions = z.strictObject({ ...split.shape, ...run, overwrite: z.boolean().optional() }).optional();
export const mergeFilesOptions = z.strictObject({ ...run, overwrite: z.boolean().optional() }).optional();

export const storedSource = z.strictObject({ ref: reference, from: stores });
export const byteOrFileSource = z.union([bytes, filePath], { error: 'wants bytes, a path, or { ref, from }' });
export const verifyOptions = z.strictObject({ ...run, verifier });
export const rewrapOptions = z.strictObject({
  identities,
  maxDerivations,
  recipients,
  verifier: verifier.optional(),
  signal: signal.optional(),
});
export const rekeyOptions = z
  .strictObject({
    ...seal,
    ...origin,
    store: stores,
    identities: identities.optional(),
    maxDerivations,
    split: split.optional(),
  })
  .refine(oneOrigin, ONE_ORIGIN);

export const FACTORS = ['cpu', 'gpu', 'memory', 'drive', 'uuid', 'tpm'] as const;
export const TPM_USES = ['never', 'when-usable', 'required'] as const;
/** Of lists that name each thing once. */
const MAX_NAMES = 64;
const factors = list(z.enum(FACTORS), MAX_NAMES).refine((names) => new Set(names).size === names.length, 'names a factor twice');
const weight = z.int().min(1).max(MAX_WEIGHT).optional();
const machinePolicy = {
  factors: factors.min(1).optional(),
  require: factors.optional(),
  atLeast: z.int().min(1).optional(),
  weights: z.strictObject({ cpu: weight, gpu: weight, memory: weight, drive: weight, uuid: weight, tpm: weight }).optional(),
  tpm: z.enum(TPM_USES).optional(),
  pcrs: list(z.int().min(0).max(MAX_PCR), MAX_NAMES).min(1).optional(),
};
export const exportMachineOptions = z.strictObject({ ...machinePolicy, overwrite: z.boolean().optional() }).optional();
export const sealedKeyOptions = z.strictObject({ ...machinePolicy, path: filePath });
export const machineFile = filePath.optional();
export const machineDemand = z
  .strictObject({
    require: factors.optional(),
    atLeast: z.int().min(1).max(FACTORS.length).optional(),
    tpm: z.literal(true).optional(),
    salts: z.literal('this build').optional(),
  })
  .optional();
export const fingerprintOptions = z.strictObject({ values: z.boolean().optional(), tpm: z.boolean().optional() }).optional();

export const readKeyOptions = z.strictObject({ signal: signal.optional() }).optional();

export const passphraseSource = z
  .strictObject({ file: filePath.optional(), env: filePath.optional(), bytes: bytes.optional() })
  .refine(
    (source) => Object.values(source).filter((value) => value !== undefined).length === 1,
    'wants exactly one of file, env, bytes',
  );

/** Read and write permissions; a store must be able to read and replace its own files. */
const fileMode = z
  .int()
  .refine(
    (mode) => (mode & ~0o666) === 0 && (mode & 0o600) === 0o600,
    'wants permissions from 0o600 to 0o666, without execution',
  );
export const fileStoreOptions = z.strictObject({ graceMs: z.number().min(0).optional(), mode: fileMode.optional() }).optional();

/** The path of a PEM file, or its text. */
const pem = text(MAX_PEM)
  .min(1, 'is empty')
  .refine((given) => !given.includes('\0'), 'holds a NUL character');
/** Checked in full where it is used, without showing it: it may hold a password. */
export const proxy = z.union([z.literal(false), text(MAX_URL).min(1, 'is empty')], {
  error: 'wants the URL of an HTTP proxy, or false',
});
export const tls = z.strictObject({ ca: pem.optional(), cert: pem.optional(), key: pem.optional() });
const timeoutMs = z.int().min(1).max(MAX_TIMEOUT_MS);
/** Visible characters and spaces: nothing that ends a header. */
const headerValue = text(8192).regex(/^[\x20-\x7e]*$/, 'holds characters that no header may have');
const s3Keys = z.strictObject({
  accessKeyId: text(256).min(1, 'is empty'),
  secretAccessKey: text(1024).min(1, 'is empty'),
  sessionToken: text(16_384).min(1, 'is empty').optional(),
  expiration: z.custom<Date>((value) => isDate(value) && !Number.isNaN(value.getTime()), 'wants a Date').optional(),
}) satisfies z.ZodType<S3Keys>;
/** What is wrong with keys is said without them. */
const s3KeySource = z.custom<S3KeySource>(
  (value) => typeof value === 'function' || s3Keys.safeParse(value).success,
  'wants { accessKeyId, secretAccessKey, sessionToken? } or a callback that gives them',
);
const s3KeyPairs = z
  .strictObject({ read: s3KeySource.optional(), write: s3KeySource.optional() })
  .refine(
    ({ read, write }) => read !== undefined || write !== undefined,
    'has neither read nor write',
  ) satisfies z.ZodType<S3KeyPairs>;
export const s3StoreOptions = z.strictObject({
  bucket: matching(255, /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/, 'the name of a bucket'),
  prefix: text(1024)
    .regex(/^(?!\.{1,2}(\/|$))[\w.-]+(\/(?!\.{1,2}(\/|$))[\w.-]+)*\/?$/, 'is not folders of letters, digits, ".", "_" and "-"')
    .optional(),
  region: matching(64, /^[A-Za-z0-9-]{1,64}$/, 'a region').optional(),
  endpoint: text(MAX_URL).min(1, 'is empty').optional(),
  forcePathStyle: z.boolean().optional(),
  credentials: z
    .union([s3KeySource, s3KeyPairs], { error: 'wants keys, a callback that gives them, or { read, write } with such for each' })
    .optional(),
  pieceBytes: z.int().min(MIN_PIECE).max(MAX_PIECE).optional(),
  connections: z.int().min(1).max(MAX_CONNECTIONS).optional(),
  timeoutMs: timeoutMs.optional(),
  graceMs: z.number().min(0).optional(),
  tls: tls.optional(),
  proxy: proxy.optional(),
});
const MAX_HEADERS = 64;
export const httpStoreOptions = z
  .strictObject({
    headers: record(matching(256, /^[!#$%&'*+.^_`|~\w-]+$/, 'the name of a header'), headerValue, MAX_HEADERS).optional(),
    connections: z.int().min(1).max(MAX_CONNECTIONS).optional(),
    timeoutMs: timeoutMs.optional(),
    tls: tls.optional(),
    proxy: proxy.optional(),
  })
  .optional();
export const modelRef = z.strictObject({ name, version: name }) satisfies z.ZodType<ModelRef>;
/** `<payloadId>-<offset>` (docs/format.md, section 10). */
export const bigName = matching(49, /^[0-9a-f]{32}-(0|[1-9][0-9]{0,15})$/, '<payloadId>-<offset>');
export const bigPartSource = has<BigPartSource>('a big part source', 'stream', 'tree');

export const modelReader = z.custom<object>((value) => typeof value === 'function', 'wants a function');

/** A read within a file of `size` bytes. */
export const range = (size: number) =>
  z
    .strictObject({ offset: z.int().min(0), length: z.int().min(0) })
    .refine(({ offset, length }) => offset + length <= size, `reaches beyond the file's ${size} bytes`);
