/** The audit log of a guard server, as those outside see it. Interfaces, not zod: see `options.ts`. */
import type { AbortSignalLike } from '../base/abort.js';
import type { VerifyingKey } from '../keys/public.js';
import type { RunOptions } from '../native/work.js';

/** A position of the audit log that the server signed (docs/server-protocol.md, section 6). */
export interface AuditCheckpoint {
  /** Which log: 32 hex digits. */
  readonly logId: string;
  /** The events up to here are covered. */
  readonly seq: number;
  /** Of the chain after event `seq`: 96 hex digits. */
  readonly head: string;
  /** When it was signed, in seconds since 1970. */
  readonly time: number;
  /** base64url */
  readonly signature: string;
}

/** An export of the audit log: the path of a file, its bytes, or its pieces as they arrive. */
export type AuditLogSource = string | Uint8Array | AsyncIterable<Uint8Array | string>;

/** Options of `verifyAuditLog`. */
export interface VerifyAuditLogOptions {
  /** One that was kept outside the server, or the path of its JSON. What happened after it is not covered. */
  readonly checkpoint: AuditCheckpoint | string;
  /** The server's audit key (`mgs1:…`), from a source you trust. */
  readonly key: VerifyingKey | string;
  readonly signal?: AbortSignalLike | undefined;
  /** As everywhere (phase `verify`), for a file or bytes: the number of pieces that arrive is not known. */
  readonly onProgress?: RunOptions['onProgress'];
}

/** The result of `verifyAuditLog`. */
export interface AuditReport {
  readonly logId: string;
  /** In the export. */
  readonly events: number;
  /** Unchanged since the checkpoint was signed: events 1 to `covered`. */
  readonly covered: number;
  /** Events after the checkpoint. Nothing is known of them: verify again with a newer one. */
  readonly notCovered: number;
  /** Of the chain at the checkpoint. */
  readonly head: string;
  readonly checkpoint: { readonly seq: number; readonly time: number };
  /** Times of the first and last event that are covered, as the server wrote them; absent where none is. */
  readonly span?: { readonly first: string; readonly last: string };
}
