/** Seals the personal data of an event under the keys of its subjects. */
import { type FieldCipher, text } from '@org/model-guard/server-kit';
import { z } from 'zod';
import type { AuditEntry } from '../context.js';
import type { Subject } from './subject-keys.js';

/** Characters; longer details are cut. */
const MAX_DETAIL = 2000;
/** Characters of a box, the detail in it escaped. */
export const MAX_BOX = 65_536;

/**
 * Where one account acts on the data of another, the event lies under the other's key, and the actor's address in it under the
 * actor's key: erasing either account leaves nothing readable about it.
 */
const boxed = z.object({
  account: text(32).optional(),
  address: text(64).optional(),
  detail: text(MAX_DETAIL).optional(),
  actor: z.object({ subject: text(32), box: text(MAX_BOX) }).optional(),
});
/** The contents of a box. */
export type EventDetails = z.output<typeof boxed>;

const aadOf = (seq: number): Buffer => {
  const aad = Buffer.alloc(8);
  aad.writeBigUInt64BE(BigInt(seq));
  return aad;
};

/** Returns base64url. `actor` is the caller's subject, where the event is not boxed under it. */
export function sealEvent(
  fields: FieldCipher,
  seq: number,
  { caller: { account, address }, detail }: AuditEntry,
  subject: Subject,
  actor: Subject | undefined,
): string {
  const seal = ({ id, wrapped }: Subject, value: unknown): string =>
    Buffer.from(fields.seal(wrapped, id, aadOf(seq), value)).toString('base64url');
  const where = address === '' ? {} : { address };
  const what: EventDetails = {
    ...(account && { account: account.id }),
    ...(actor ? { actor: { subject: actor.id, box: seal(actor, where) } } : where),
    ...(detail !== undefined && { detail: detail.slice(0, MAX_DETAIL) }),
  };
  return seal(subject, what);
}

/** Opens the box of an event, or the actor's box in it. INTEGRITY_FAILED */
export function openBox(fields: FieldCipher, seq: number, box: string, { id, wrapped }: Subject): EventDetails {
  return boxed.parse(fields.open(wrapped, id, aadOf(seq), Buffer.from(box, 'base64url')));
}
