/** The values that cross the wire. Requests refuse what they do not know; answers may grow. */
import { z } from 'zod';
import { ROLES } from './roles.js';

const text = (pattern: RegExp, what: string) => z.string().regex(pattern, `is not ${what}`);

export const id = text(/^[0-9a-f]{32}$/, '32 hex digits');
export const modelName = text(/^[a-z0-9][a-z0-9._-]{0,127}$/, 'a name: [a-z0-9][a-z0-9._-]{0,127}');
export const partName = text(/^[0-9a-f]{32}-(0|[1-9][0-9]{0,15})$/, '<payloadId>-<offset>');
export const sha256 = text(/^[0-9a-f]{64}$/, '64 hex digits');
export const base64url = text(/^[A-Za-z0-9_-]*$/, 'base64url without padding');
const exactly = (bytes: number) => base64url.length(Math.ceil((bytes * 4) / 3), `is not ${bytes} bytes in base64url`);
export const challenge = exactly(32);
export const signature = exactly(64);
export const deviceKey = text(/^mgd1:[A-Za-z0-9_-]{86}$/, 'the public keys of a device (mgd1:…)');
export const verifyingKey = text(/^mgs1:[A-Za-z0-9_-]{43}$/, 'an Ed25519 public key (mgs1:…)');
export const encryptionKey = text(/^mgx1:[A-Za-z0-9_-]{43}$/, 'an X25519 public key (mgx1:…)');
/** Seconds since 1970. */
export const seconds = z.int().min(0).max(253402300799);
export const role = z.enum(ROLES);
/** NFC text for people, without control characters. */
export const label = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'holds a control character')
  .refine((value) => value === value.normalize('NFC'), 'is not in NFC');
export const email = z
  .string()
  .max(254)
  .regex(/^[^\s@\p{Cc}]{1,64}@[^\s@\p{Cc}]{1,189}$/u, 'is not an e-mail address');
/** Long enough to be strong, short enough to be hashed. NIST SP 800-63B, section 3.1.1. */
export const newPassword = z.string().min(12, 'has fewer than 12 characters').max(256);
export const anyPassword = z.string().min(1).max(1024);

export const cursor = z
  .string()
  .max(200)
  .regex(/^[A-Za-z0-9_.-]+$/, 'is not a cursor of this server');
export const page = { cursor: cursor.optional(), limit: z.coerce.number().int().min(1).max(500).default(100) };
export const paged = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), /** Absent on the last page. */ next: cursor.optional() });

export const statement = z.object({ payload: base64url.max(4_194_304), signature, key: verifyingKey });
const auditSeq = z.int().min(0);
const auditHead = text(/^[0-9a-f]{96}$/, '96 hex digits');
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
  fingerprint: z.string(),
  /** The key is sealed to its machine. */
  sealed: z.boolean(),
  state: deviceState,
  created: seconds,
  decided: seconds.optional(),
});

export const resourceKind = z.enum(['model', 'archive']);
/** What an entitlement allows. */
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
  format: z.string(),
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
  revoked: z.boolean(),
  created: seconds,
});
export const grant = z.object({
  /** The small part for this device alone. */
  small: base64url,
  /** Of kind `lease`. */
  lease: statement,
  checkpoint: checkpoint.optional(),
  /** Of kind `history`, where the request named a position. */
  history: statement.optional(),
  big: z.object({ name: partName, size: z.int().min(0), url: z.string(), treeUrl: z.string().optional(), expires: seconds }),
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
export const fragmentGrant = z.object({
  fragment: base64url,
  archive,
  checkpoint: checkpoint.optional(),
  /** Of kind `history`, where the request named a position. */
  history: statement.optional(),
});

export const outcome = z.enum(['success', 'failure', 'denied']);
export const auditEvent = z.object({
  seq: z.int().min(1),
  time: z.iso.datetime(),
  action: z.string(),
  outcome,
  resource: z.string().optional(),
  request: z.string().optional(),
  subject: id.optional(),
  /** What the box holds; absent once its subject was erased. */
  personal: z
    .object({
      actor: z.string().optional(),
      account: id.optional(),
      address: z.string().optional(),
      detail: z.string().optional(),
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
  notice: z.string(),
});

export const failure = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    /** Of the field that is wrong. */
    path: z.string().optional(),
    request: z.string(),
  }),
});
