/** The table of kinds of recipients, and the public types that name them. A new kind is a file of this room and its lines here. */
import type { MachineTerms } from '../keys/machine-policy.js';
import type { DevicePublicKey } from '../keys/public.js';
import type { DeviceKey, MasterKey, Passphrase } from '../keys/secret.js';
import { type Hardware, hardwareKind } from './hardware.js';
import type { Kind } from './kind.js';
import { masterKind } from './master.js';
import { passphraseKind } from './passphrase.js';
import { x25519Kind } from './x25519.js';

export const kinds: readonly Kind[] = [x25519Kind, masterKind, passphraseKind, hardwareKind];

/** A recipient of a model: `mgx1:…` or `mgd1:…` text, a key, or a machine. */
export type Recipient = string | DevicePublicKey | MasterKey | DeviceKey | Passphrase | Hardware;

/** An identity that opens a model: a key, or this machine. */
export type Identity = MasterKey | DeviceKey | Passphrase | Hardware;

/** One recipient, as the header shows it to anyone. */
export interface SlotInfo {
  readonly type: 'x25519' | 'master' | 'passphrase' | 'hardware' | 'unknown';
  /** The type's number in docs/format.md section 6. */
  readonly number: number;
  readonly critical: boolean;
  /** 16 hex digits of the public key's id; absent where there is no public key. */
  readonly keyId?: string | undefined;
  /** A lease's terms; times in seconds since 1970. */
  readonly policy?:
    | {
        readonly notBefore: number;
        readonly notAfter: number;
        readonly offlineUntil: number;
        readonly leaseId: string;
        readonly deviceId: string;
      }
    | undefined;
  /** Of a hardware slot: what a machine must show. */
  readonly machine?: MachineTerms | undefined;
}
