/** What is personal in an event, under the keys of those whom it is about. */
import { type FieldCipher, text } from '@org/model-guard/server-kit';
import { z } from 'zod';
import type { AuditEntry } from '../context.js';
import type { Subject } from './subjects.js';

/** Longer ones are cut. */
const MAX_DETAIL = 2000;
/** Characters of a box, the detail in it escaped. */
export const MAX_BOX = 65_536;

/**
 * Where somebody acts on the data of another, the event lies under the key of the other, and the actor's address inside it under the
 * key of the actor: erasing either leaves nothing readable about that one.
 */
const boxed = z.object({
  account: text(32).optional(),
  address: text(64).optional(),
  detail: text(MAX_DETAIL).optional(),
  actor: z.object({ subject: text(32), box: text(MAX_BOX) }).optional(),
});
/** What a box holds. */
export type Boxed = z.output<typeof boxed>;

const aadOf = (seq: number): Buffer => {
  const aad = Buffer.alloc(8);
  aad.writeBigUInt64BE(BigInt(seq));
  return aad;
};

/** base64url. `actor`: the caller's subject, where the event is not boxed under it. */
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
  const what: Boxed = {
    ...(account && { account: account.id }),
    ...(actor ? { actor: { subject: actor.id, box: seal(actor, where) } } : where),
    ...(detail !== undefined && { detail: detail.slice(0, MAX_DETAIL) }),
  };
  return seal(subject, what);
}

/** An event's box, or the actor's inside it. INTEGRITY_FAILED */
export function openBox(fields: FieldCipher, seq: number, box: string, { id, wrapped }: Subject): Boxed {
  return boxed.parse(fields.open(wrapped, id, aadOf(seq), Buffer.from(box, 'base64url')));
}
