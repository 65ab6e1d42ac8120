/**
 * Which error comes first where several things are wrong, and which code a broken rule has: docs/format.md, sections 4 to 12. A second
 * reader is compared by its codes, so a change here is a change of the format's text. Containers are the reference's.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { decrypt, load, merge, type OpenBigPart, type PartStore } from '../../src/index.js';
import { concat } from '../reference/bytes.js';
import { publicKeyText, sealContainer, sealMessage, signature, splitContainer } from '../reference/container.js';
import { coreHash } from '../reference/core.js';
import { alter, parts, reclaim, reencrypt } from '../reference/forge.js';
import { type Claims, type Policy, parseHeader, ROLE, type Slot } from '../reference/header.js';
import { packMessage, rawMessage, writeManifest } from '../reference/manifest.js';
import { SEALED, treeFile } from '../reference/payload.js';
import { publicOf } from '../reference/primitives.js';
import { wrap } from '../reference/slots.js';
import { bindTo, openOn } from '../support/bound.js';
import { type Keyring, makeKeyring } from '../support/keyring.js';
import { useMachine } from '../support/machine-addon.js';
import { machineTree } from '../support/machine-tree.js';
import { seeded } from '../support/seed.js';
import { refusal, serve } from '../support/table-store.js';
import { temporaryFolder } from '../support/temp.js';

useMachine('/nowhere');
const HOUR = 3600;
const random = seeded('error order');
const dataKey = random.bytes(32);
const server = random.bytes(32);
const files = new Map([['net', random.bytes(200_000)]]);
let keys: Keyring;
let container: Uint8Array;
beforeAll(async () => {
  keys = await makeKeyring(temporaryFolder('error-order'), random);
  const recipients = [keys.recipients.master];
  container = sealContainer(files, { name: 'net', version: '1', recipients, dataKey, signer: keys.raw.signing });
});

const pinned = () => ({ identities: [keys.master], verifier: keys.signing.publicKey });
const open = (bytes: Uint8Array) => refusal(() => decrypt(bytes, pinned()));

describe('a payload that was changed', () => {
  /** Loads the parts as from afar, with a tree beside the big part where one is given. */
  function outcome(bytes: Uint8Array, tree?: Uint8Array): Promise<string> {
    const { small, big } = splitContainer(bytes);
    const inner = serve(new Map([['net@1', { small, big }]]));
    const from: PartStore = {
      ...inner,
      openBig: async (...args): Promise<OpenBigPart> => ({
        ...(await inner.openBig(...args)),
        remote: true,
        tree: async () => tree,
      }),
    };
    return refusal(() => load('net@1', { ...pinned(), from, cache: false }));
  }
  const tree = () => treeFile(parts(container).payload);

  it('in one chunk is a wrong digest by its tree, and not authentic without it; a wrong tree is ignored', async () => {
    const { header } = parts(container);
    const changed = container.slice();
    const at = header.length + 56 + 5 * SEALED;
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(await outcome(changed, tree())).toBe('DIGEST_MISMATCH');
    expect(await outcome(changed)).toBe('INTEGRITY_FAILED');
    expect(await outcome(changed, tree().reverse())).toBe('INTEGRITY_FAILED');
    expect(await outcome(container, tree().reverse())).toBe('released');
  });

  it('and is authentic throughout is found out by its digest either way', async () => {
    const message = packMessage(new Map([['net', random.bytes(200_000)]]));
    const forged = reencrypt(container, dataKey, message, { keepDigest: true });
    expect(await outcome(forged)).toBe('DIGEST_MISMATCH');
    expect(await outcome(forged, tree())).toBe('DIGEST_MISMATCH');
  });
});

describe('a small part with the whole payload', () => {
  it('is none, with a byte more is malformed, and is a container where one is wanted', async () => {
    const from = (small: Uint8Array) => serve(new Map([['net@1', { small, big: new Uint8Array(0) }]]));
    expect(await refusal(() => load('net@1', { ...pinned(), from: from(container), cache: false }))).toBe('PARTS_MISMATCH');
    expect(await refusal(() => merge(container, new Uint8Array(0)))).toBe('PARTS_MISMATCH');
    const longer = concat(container, Uint8Array.of(0));
    expect(await refusal(() => load('net@1', { ...pinned(), from: from(longer), cache: false }))).toBe('CONTAINER_MALFORMED');
    expect(await open(longer)).toBe('CONTAINER_MALFORMED');
    expect(await open(container)).toBe('released');
  });
});

describe('a policy', () => {
  const terms = (notBefore: number, notAfter: number, offlineUntil: number): Policy => ({
    notBefore,
    notAfter,
    offlineUntil,
    leaseId: random.bytes(16),
    deviceId: random.bytes(16),
  });
  const around = (from: number, to: number, offline = to): Policy => {
    const now = Math.floor(Date.now() / 1000);
    return terms(now + from, now + to, now + offline);
  };

  it('that breaks a rule makes the container invalid in any slot, also beside one that opens', async () => {
    const { header } = parts(container);
    const [mine] = header.slots;
    if (mine === undefined) throw new Error('one slot');
    for (const policy of [terms(10, 10, 0), terms(11, 10, 0), terms(10, 20, 21), terms(2 ** 53, 2 ** 53 + 2, 0)])
      for (const type of [mine.type, 99])
        expect(await open(reclaim(container, dataKey, { slots: [mine, { ...mine, type, policy }] }))).toBe('CONTAINER_MALFORMED');
  });

  /** The container with one slot for the device key for each policy, signed as a lease or not. */
  function leased(
    policies: readonly Policy[],
    more: { readonly signed?: boolean; readonly before?: readonly Slot[] } = {},
  ): Uint8Array {
    const header = parseHeader(container);
    const made = policies.map((policy) => wrap(keys.recipients.device, dataKey, coreHash(header.core), { policy }));
    const claims: Claims = { ...header, slots: [...(more.before ?? []), ...made] };
    const lease = more.signed === false ? [] : [signature(ROLE.lease, server, claims)];
    return reclaim(container, dataKey, { slots: claims.slots, signatures: [...header.signatures, ...lease] });
  }
  const openLease = (bytes: Uint8Array) =>
    refusal(() =>
      decrypt(bytes, {
        identities: [keys.device],
        verifier: keys.signing.publicKey,
        leaseKeys: publicKeyText('mgs1', publicOf('ed25519', server)),
      }),
    );

  it('of one slot: the signature comes before the times, not-before before not-after', async () => {
    const [early, late] = [around(HOUR, 2 * HOUR), around(-2 * HOUR, -HOUR)];
    for (const policy of [early, late]) expect(await openLease(leased([policy], { signed: false }))).toBe('LEASE_UNTRUSTED');
    expect(await openLease(leased([around(HOUR, 2 * HOUR, -HOUR)]))).toBe('LEASE_NOT_YET_VALID');
    expect(await openLease(leased([late]))).toBe('LEASE_EXPIRED');
    expect(await openLease(leased([around(-HOUR, HOUR, -60)]))).toBe('LEASE_EXPIRED');
  });

  it('of several slots: one that holds opens, else the first reason counts, and before a slot that does not open', async () => {
    const [early, late, holds] = [around(HOUR, 2 * HOUR), around(-2 * HOUR, -HOUR), around(-HOUR, HOUR)];
    expect(await openLease(leased([early, late, holds]))).toBe('released');
    expect(await openLease(leased([early, late]))).toBe('LEASE_NOT_YET_VALID');
    expect(await openLease(leased([late, early]))).toBe('LEASE_EXPIRED');
    // A slot with this device's key id that its key does not open.
    const header = parseHeader(container);
    const { body: _, ...slot } = wrap(keys.recipients.device, dataKey, coreHash(header.core));
    const before = [{ ...slot, body: concat(random.bytes(32), random.bytes(48)) }];
    expect(await openLease(leased([late], { before }))).toBe('LEASE_EXPIRED');
    expect(await openLease(reclaim(container, dataKey, { slots: before }))).toBe('NO_MATCHING_IDENTITY');
  });
});

describe('a list of files', () => {
  it('of more than 10,000 is an invalid manifest to a reader', async () => {
    const many = Array.from({ length: 10_001 }, (_, index) => ({ path: String(index).padStart(5, '0'), offset: 0, size: 0 }));
    const recipients = [keys.recipients.master];
    const sealed = (entries: typeof many): Uint8Array =>
      sealMessage(rawMessage(writeManifest(entries), new Uint8Array(0)), { name: 'net', version: '1', recipients });
    const unsigned = (bytes: Uint8Array) => refusal(() => decrypt(bytes, { identities: [keys.master], unsigned: 'accept' }));
    expect(await unsigned(sealed(many))).toBe('MANIFEST_INVALID');
    expect(await unsigned(sealed(many.slice(1)))).toBe('released');
  });
});

describe('a slot of this machine', () => {
  it('whose box opens but whose key id is another is passed over', async () => {
    const tree = machineTree('sata-server');
    const bound = await bindTo(tree);
    const [slot] = parseHeader(bound).slots;
    if (slot === undefined) throw new Error('one slot');
    expect(await openOn(tree, bound)).toBe('OK');
    expect(await openOn(tree, alter(bound, { slots: [{ ...slot, keyId: random.bytes(8) }] }))).toBe('NO_MATCHING_IDENTITY');
    expect(await openOn(machineTree('laptop-two-gpus'), bound)).toBe('HARDWARE_MISMATCH');
  });
});
