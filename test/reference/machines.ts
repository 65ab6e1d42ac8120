/** Section 12: binding a secret to a machine's factors and getting it back; machine files; sealed device keys (section 11). */
import { ascii, Cursor, concat, hex, must, same } from './bytes.js';
import { type BoundFactor, encodeHelper, FACTORS, type FactorName, type Helper, takeHelper, weightOf } from './helper.js';
import { exactly, integer, isObject, parseJson, text, writeJson } from './json.js';
import { refusedX25519 } from './points.js';
import { deriveKeyPair, digest, gcmOpen, gcmSeal, hkdf, hkdfExpand, random, scrypt } from './primitives.js';
import { DEFAULT_PEPPER, fromBase64url, saltsId, toBase64url } from './salts.js';
import { joinShares, splitSecret } from './shamir.js';

/** Canonical values, as the table of factors gives them. */
export type FactorValues = Readonly<Partial<Record<FactorName, string>>>;
/** scrypt of the factors that a machine shows. */
export type Stretched = ReadonlyMap<FactorName, Uint8Array>;

/** What a publisher needs, and what lies beside a sealed key. */
export interface Binding {
  readonly helper: Helper;
  readonly box: Uint8Array;
}
/** What a machine brings to open a binding. */
export interface MachineIdentity {
  readonly values: FactorValues;
  readonly pepper?: Uint8Array;
  readonly tpmValue?: Uint8Array;
}
export interface BindOptions {
  readonly threshold: number;
  readonly required?: readonly FactorName[];
  readonly weights?: Readonly<Partial<Record<FactorName, number>>>;
  readonly pepper?: Uint8Array;
  readonly tpm?: { readonly blob: Uint8Array; readonly value: Uint8Array };
  /** scrypt, unless a test has done it before. */
  readonly stretch?: typeof stretchFactor;
}

const NOTHING = new Uint8Array(0);
const NONCE = new Uint8Array(12);
const BOX = 48;

export const factorBytes = (name: FactorName, value: string): Uint8Array =>
  concat(ascii(name), Uint8Array.of(0), Uint8Array.from(Buffer.from(value, 'utf8')));

/** u_i */
export const stretchFactor = (name: FactorName, value: string, salt: Uint8Array): Uint8Array =>
  scrypt(factorBytes(name, value), salt, 15);

export function stretch(helper: Helper, values: FactorValues): Stretched {
  const found = new Map<FactorName, Uint8Array>();
  for (const { name, salt } of helper.factors) {
    const value = values[name];
    if (value !== undefined) found.set(name, stretchFactor(name, value, salt));
  }
  return found;
}

interface Secrets {
  readonly stretched: Stretched;
  readonly pepper?: Uint8Array | undefined;
  readonly tpmValue?: Uint8Array | undefined;
}

/** What every opening must have beside enough shares. Undefined if a required factor is not there. */
function tailOf(factors: readonly Pick<BoundFactor, 'name' | 'required'>[], secrets: Secrets): Uint8Array | undefined {
  const required = factors.filter((factor) => factor.required).map(({ name }) => secrets.stretched.get(name));
  if (required.includes(undefined)) return undefined;
  return concat(...required.map((u) => u ?? NOTHING), secrets.tpmValue ?? NOTHING, secrets.pepper ?? DEFAULT_PEPPER);
}

const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((byte, at) => byte ^ (b[at] ?? 0));

/** The mask of share j and its own inverse. */
const mask = (share: Uint8Array, u: Uint8Array, j: number, tail: Uint8Array): Uint8Array =>
  xor(share, hkdfExpand('sha384', u, concat(ascii('share'), Uint8Array.of(j), tail), 32));

const boxKey = (t: Uint8Array, tail: Uint8Array, salt: Uint8Array): Uint8Array =>
  hkdf('sha384', concat(t, tail), salt, ascii('model-guard/v1/hw'), 32);

export interface Bound extends Binding {
  /** S */
  readonly secret: Uint8Array;
}

export function bind(values: FactorValues, options: BindOptions): Bound {
  const { threshold, required = [], weights = {}, pepper = DEFAULT_PEPPER, tpm, stretch: stretchOne = stretchFactor } = options;
  const plan = FACTORS.filter((name) => values[name] !== undefined).map((name) => {
    const salt = random(16);
    const u = stretchOne(name, values[name] ?? '', salt);
    return { name, required: required.includes(name), weight: weights[name] ?? 1, salt, u };
  });
  const tail = tailOf(plan, { stretched: new Map(plan.map(({ name, u }) => [name, u])), pepper, tpmValue: tpm?.value });
  must(tail !== undefined && required.every((name) => values[name] !== undefined), 'a required factor has no value');
  const t = random(32);
  const count = plan.reduce((sum, { weight }) => sum + weight, 0);
  const shares = [...splitSecret(t, threshold, count)];
  const factors = plan.map(
    ({ name, required, weight, salt, u }): BoundFactor => ({
      name,
      required,
      salt,
      shares: shares.splice(0, weight).map(({ x, bytes }) => mask(bytes, u, x, tail)),
    }),
  );
  const salt = random(32);
  const helper: Helper = { saltsId: saltsId(pepper), salt, threshold, factors, tpm: tpm?.blob ?? NOTHING };
  const secret = random(32);
  return { helper, box: gcmSeal(boxKey(t, tail, salt), NONCE, encodeHelper(helper), secret), secret };
}

/** Sets that open and of which nothing but required factors could be left out, fewest factors first. */
export function openings(helper: Helper): readonly (readonly BoundFactor[])[] {
  const { factors, threshold } = helper;
  const opens = (set: readonly BoundFactor[]): boolean =>
    factors.every((factor) => !factor.required || set.includes(factor)) && weightOf(set) >= threshold;
  const subsets = Array.from({ length: 2 ** factors.length }, (_, bits) => factors.filter((_factor, i) => (bits >> i) & 1));
  return subsets
    .filter((set) => opens(set) && set.every((one) => one.required || !opens(set.filter((other) => other !== one))))
    .sort((a, b) => a.length - b.length);
}

/** S from exactly these factors, or undefined. */
export function openWith(set: readonly BoundFactor[], { helper, box }: Binding, secrets: Secrets): Uint8Array | undefined {
  const tail = tailOf(helper.factors, secrets);
  if (tail === undefined) return undefined;
  let j = 0;
  const unmasked = helper.factors.flatMap((factor) => {
    const first = j + 1;
    j += factor.shares.length;
    const u = secrets.stretched.get(factor.name);
    if (u === undefined || !set.includes(factor)) return [];
    return factor.shares.map((share, at) => ({ x: first + at, bytes: mask(share, u, first + at, tail) }));
  });
  if (unmasked.length < helper.threshold) return undefined;
  const t = joinShares(unmasked.slice(0, helper.threshold));
  return gcmOpen(boxKey(t, tail, helper.salt), NONCE, encodeHelper(helper), box);
}

/** S, or undefined: another machine. */
export function open(binding: Binding, identity: MachineIdentity): Uint8Array | undefined {
  const { helper } = binding;
  if (!same(helper.saltsId, saltsId(identity.pepper ?? DEFAULT_PEPPER))) return undefined;
  const tpmValue = helper.tpm.length > 0 ? identity.tpmValue : NOTHING;
  if (tpmValue === undefined) return undefined;
  const secrets: Secrets = { ...identity, tpmValue, stretched: stretch(helper, identity.values) };
  for (const set of openings(helper)) {
    const secret = openWith(set, binding, secrets);
    if (secret !== undefined) return secret;
  }
  return undefined;
}

export const publicKeyOf = (secret: Uint8Array): Uint8Array => deriveKeyPair(secret).publicKey;

// --- helper ‖ box, as it stands in slots and sealed keys

export const encodeBinding = ({ helper, box }: Binding): Uint8Array => concat(encodeHelper(helper), box);
export const takeBinding = (from: Cursor): Binding => ({ helper: takeHelper(from), box: from.take(BOX) });

// --- machine files

export interface MachineFile extends Binding {
  readonly publicKey: Uint8Array;
}

export const machineChecksum = (file: MachineFile): string =>
  hex(digest('sha256', ascii('model-guard/v1/machine'), encodeBinding(file), file.publicKey).slice(0, 8));

export const writeMachineFile = (file: MachineFile): Uint8Array =>
  concat(
    writeJson({
      box: toBase64url(file.box),
      checksum: machineChecksum(file),
      helper: toBase64url(encodeHelper(file.helper)),
      publicKey: `mgx1:${toBase64url(file.publicKey)}`,
      version: 1,
    }),
    ascii('\n'),
  );

export function parseMachineFile(bytes: Uint8Array): MachineFile {
  must(bytes[bytes.length - 1] === 0x0a, 'the line has no end');
  const json = parseJson(bytes.subarray(0, bytes.length - 1));
  must(isObject(json), 'not an object');
  must(integer(json, 'version') <= 1, 'the file is newer');
  must(integer(json, 'version') === 1, 'version 0 never was');
  exactly(json, ['box', 'checksum', 'helper', 'publicKey', 'version']);
  const key = text(json, 'publicKey');
  must(key.startsWith('mgx1:'), 'no X25519 public key');
  const from = new Cursor(fromBase64url(text(json, 'helper')));
  const helper = takeHelper(from);
  must(from.left === 0, 'bytes follow the helper data');
  const file = { helper, box: fromBase64url(text(json, 'box'), BOX), publicKey: fromBase64url(key.slice(5), 32) };
  must(!refusedX25519(file.publicKey), 'no X25519 public key that any machine has');
  must(text(json, 'checksum') === machineChecksum(file), 'the checksum is another');
  return file;
}

// --- sealed device keys

const SEALED_LINE = 'model-guard-key v1 device sealed';

function sealedKey(secret: Uint8Array, { helper, box }: Binding): { readonly key: Uint8Array; readonly aad: Uint8Array } {
  const key = hkdf('sha384', secret, helper.salt, ascii('model-guard/v1/device-key'), 32);
  return { key, aad: concat(ascii(SEALED_LINE), encodeBinding({ helper, box })) };
}

/** `device`: X25519 private key ‖ Ed25519 seed. */
export function sealDeviceKey(device: Uint8Array, bound: Bound): Uint8Array {
  must(device.length === 64, 'a device key has 64 bytes');
  const { key, aad } = sealedKey(bound.secret, bound);
  return ascii(`${SEALED_LINE}\n${toBase64url(encodeBinding(bound), gcmSeal(key, NONCE, aad, device))}\n`);
}

export function parseSealedKey(file: Uint8Array): Binding & { readonly sealed: Uint8Array } {
  const match = /^model-guard-key v1 device sealed\n([A-Za-z0-9_-]+)\n$/.exec(Buffer.from(file).toString('latin1'));
  must(match !== null, 'not a sealed device key');
  const from = new Cursor(fromBase64url(match[1] ?? ''));
  const binding = takeBinding(from);
  must(from.left === 64 + 16, 'a sealed key of another length');
  return { ...binding, sealed: from.take(from.left) };
}

/** The device key, or undefined: another machine. */
export function openDeviceKey(file: Uint8Array, identity: MachineIdentity): Uint8Array | undefined {
  const { sealed, ...binding } = parseSealedKey(file);
  const secret = open(binding, identity);
  if (secret === undefined) return undefined;
  const { key, aad } = sealedKey(secret, binding);
  return gcmOpen(key, NONCE, aad, sealed);
}
