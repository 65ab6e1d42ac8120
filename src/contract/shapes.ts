/** The values that cross the wire. Requests refuse what they do not know; answers may grow. */
import { z } from 'zod';
import { MAX_SMALL, MAX_URL } from '../base/limits.js';
import { countOf, list, matching, text } from '../base/schemas.js';
import { AUDIT_ACTION_FILTERS, AUDIT_ACTIONS } from './audit-actions.js';
import { ROLES } from './roles.js';

export const id = matching(32, /^[0-9a-f]{32}$/, '32 hex digits');
export const modelName = matching(128, /^[a-z0-9][a-z0-9._-]{0,127}$/, 'a name: [a-z0-9][a-z0-9._-]{0,127}');
export const partName = matching(49, /^[0-9a-f]{32}-(0|[1-9][0-9]{0,15})$/, '<payloadId>-<offset>');
export const sha256 = matching(64, /^[0-9a-f]{64}$/, '64 hex digits');
/** Characters that so many bytes take in base64url. */
const encoded = (bytes: number) => Math.ceil((bytes * 4) / 3);
/** @param bytes At most. */
export const base64url = (bytes: number) => matching(encoded(bytes), /^[A-Za-z0-9_-]*$/, 'base64url without padding');
const exactly = (bytes: number) => base64url(bytes).length(encoded(bytes), `is not ${bytes} bytes in base64url`);
export const challenge = exactly(32);
export const signature = exactly(64);
export const deviceKey = matching(91, /^mgd1:[A-Za-z0-9_-]{86}$/, 'the public keys of a device (mgd1:…)');
export const verifyingKey = matching(48, /^mgs1:[A-Za-z0-9_-]{43}$/, 'an Ed25519 public key (mgs1:…)');
export const encryptionKey = matching(48, /^mgx1:[A-Za-z0-9_-]{43}$/, 'an X25519 public key (mgx1:…)');
/** With room, so that one that is a little too large is told so: LIMIT_EXCEEDED. */
export const smallPart = base64url(MAX_SMALL + 1024 * 1024);
/** An address, signed by the server or its storage. */
export const address = text(MAX_URL);
/** Ten groups of four hex digits. */
export const fingerprint = text(100);
/** A JSON web key; what it holds beside that is not read. */
export const webKey = z.looseObject({ kid: text(256), kty: text(16) });
/** The end of the year 9999. */
const MAX_SECONDS = 253402300799;
/** Seconds since 1970. */
export const seconds = z.int().min(0).max(MAX_SECONDS);
export const secondsInQuery = countOf(0, MAX_SECONDS);
export const role = z.enum(ROLES);
/** NFC text for people, without control characters. */
export const label = text(200)
  .min(1)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'holds a control character')
  .refine((value) => value === value.normalize('NFC'), 'is not in NFC');
export const email = matching(254, /^[^\s@\p{Cc}]{1,64}@[^\s@\p{Cc}]{1,189}$/u, 'an e-mail address');
/** Long enough to be strong, short enough to be hashed. NIST SP 800-63B, section 3.1.1. */
export const newPassword = text(256).min(12, 'has fewer than 12 characters');
export const anyPassword = text(1024).min(1);

export const cursor = matching(200, /^[A-Za-z0-9_.-]+$/, 'a cursor of this server');
const MAX_PAGE = 500;
export const page = { cursor: cursor.optional(), limit: countOf(1, MAX_PAGE).default(100) };
export const paged = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: list(item, MAX_PAGE), /** Absent on the last page. */ next: cursor.optional() });

const statementOf = (bytes: number) => z.object({ payload: base64url(bytes), signature, key: verifyingKey });
/** Room for a hundred keys, the most that a statement names. */
export const statement = statementOf(24 * 1024);
/** Keys of tokens: each start of a process adds one for a day, so that a process that fails again and again makes many. */
export const MAX_WEB_KEYS = 10_000;
/** Bytes that one of them takes at most in a statement. */
const WEB_KEY_BYTES = 300;
export const keysStatement = statementOf(MAX_WEB_KEYS * WEB_KEY_BYTES);
const auditSeq = z.int().min(0);
const auditHead = matching(96, /^[0-9a-f]{96}$/, '96 hex digits');
/** A position of the audit log, as a client saw it. */
export const auditPosition = z.strictObject({ seq: auditSeq, head: auditHead });
export const checkpoint = z.object({
  logId: id,
  seq: auditSeq,
  head: auditHead,
  time: seconds,
  signature,
});

export const account = z.object({
  id,
  email,
  name: label.optional(),
  address: label.optional(),
  role,
  disabled: z.boolean(),
  mustChangePassword: z.boolean(),
  created: seconds,
});

export const deviceState = z.enum(['pending', 'approved', 'revoked']);
export const device = z.object({
  id,
  account: id,
  name: label,
  publicKey: deviceKey,
  /** Of the public keys, to compare before approving. */
  fingerprint,
  /** The key is sealed to its machine. */
  sealed: z.boolean(),
  state: deviceState,
  created: seconds,
  decided: seconds.optional(),
});

export const resourceKind = z.enum(['model', 'archive']);
/** The terms of an entitlement. */
export const terms = {
  /** Devices that may hold a lease at the same time. */
  seats: z.int().min(1).max(1_000_000).default(1),
  leaseSeconds: z.int().min(60).max(31_622_400).default(86_400),
  /** How long a lease opens without the server; never longer than the lease. */
  offlineSeconds: z.int().min(0).max(31_622_400).default(3600),
  notBefore: seconds.optional(),
  notAfter: seconds.optional(),
};
export const entitlement = z.object({
  id,
  kind: resourceKind,
  name: modelName,
  account: id,
  device: id.optional(),
  seats: z.int(),
  leaseSeconds: z.int(),
  offlineSeconds: z.int(),
  notBefore: seconds.optional(),
  notAfter: seconds.optional(),
  created: seconds,
});

export const versionState = z.enum(['pending', 'released', 'rejected', 'revoked']);
export const version = z.object({
  name: modelName,
  version: modelName,
  /** Grows with every publication of this name. */
  ordinal: z.int().min(1),
  state: versionState,
  format: modelName,
  payloadId: id,
  digest: sha256,
  smallBytes: z.int(),
  bigBytes: z.int(),
  bigName: partName,
  publisher: verifyingKey,
  publishedBy: id,
  created: seconds,
  decided: seconds.optional(),
});

export const lease = z.object({
  id,
  name: modelName,
  version: modelName,
  device: id,
  account: id,
  notBefore: seconds,
  notAfter: seconds,
  offlineUntil: seconds,
  /** The seat is held for longer than the lease: the device may have kept an earlier, longer one. */
  seatUntil: seconds.optional(),
  revoked: z.boolean(),
  created: seconds,
});
export const grant = z.object({
  /** The small part for this device alone. */
  small: smallPart,
  /** Of kind `lease`. */
  lease: statement,
  checkpoint: checkpoint.optional(),
  /** Of kind `history`, where the request named a position. */
  history: statement.optional(),
  big: z.object({ name: partName, size: z.int().min(0), url: address, treeUrl: address.optional(), expires: seconds }),
});

export const archiveFormat = z.enum(['container', 'legacy']);
export const archive = z.object({
  name: modelName,
  format: archiveFormat,
  sha256,
  size: z.int().min(1),
  registeredBy: id,
  created: seconds,
});
/** A sealed key. */
export const fragment = base64url(6144);
export const fragmentGrant = z.object({
  fragment,
  archive,
  checkpoint: checkpoint.optional(),
  /** Of kind `history`, where the request named a position. */
  history: statement.optional(),
});

/** An action of the audit log, or all of a concern. */
export const auditActionFilter = z.enum(
  AUDIT_ACTION_FILTERS,
  `is none of the actions (${AUDIT_ACTIONS.join(', ')}), and none of their first words`,
);
export const outcome = z.enum(['success', 'failure', 'denied']);
export const auditEvent = z.object({
  seq: z.int().min(1),
  time: text(32).check(z.iso.datetime()),
  action: text(64),
  outcome,
  resource: text(400).optional(),
  request: text(64).optional(),
  subject: id.optional(),
  /** The content of the box; absent once its subject was erased. */
  personal: z
    .object({
      actor: text(254).optional(),
      account: id.optional(),
      address: text(64).optional(),
      detail: text(2000).optional(),
    })
    .optional(),
});

export const serverKey = z.object({
  key: encryptionKey,
  state: z.enum(['current', 'retiring']),
  /** Publications to a retiring key are accepted until then. */
  until: seconds.optional(),
});
export const rotation = z.object({
  id,
  state: z.enum(['running', 'done']),
  from: encryptionKey,
  to: encryptionKey,
  total: z.int(),
  done: z.int(),
  started: seconds,
  finished: seconds.optional(),
  acceptUntil: seconds,
  notice: text(1000),
});

export const failure = z.object({
  error: z.object({
    code: text(64),
    message: text(4000),
    /** Of the field that is wrong. */
    path: text(400).optional(),
    request: text(64),
  }),
});
