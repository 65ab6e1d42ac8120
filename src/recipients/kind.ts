/** The contract of a kind of recipient (docs/format.md, section 6). Each kind is a file of this room; kinds.ts lists them. */
import { handleOfType } from '../keys/key.js';
import type { KeyHandle, NativeKeyType, NativeRecipient } from '../native/binding.js';

/** Opens slots: a key, or this machine, by the slots that were made from `machineFile` or by any. */
export type Opener = { readonly key: KeyHandle } | { readonly machineFile: string | undefined };

export interface Kind {
  /** The type of its slots in docs/format.md, section 6. */
  readonly type: string;
  /** The name of a recipient in messages, without an article. */
  readonly noun: string;
  /** The values that callers may give, for messages. */
  readonly recipients: string;
  readonly identities: string;
  /** One recipient of this kind is the most that a container has. */
  readonly single?: true;
  /** Undefined where `value` is of another kind. INVALID_ARGUMENT, KEY_INVALID, KEY_TYPE_WRONG and the errors of reading a file. */
  recipient(value: unknown, where: string): NativeRecipient | undefined | Promise<NativeRecipient>;
  /** Undefined where `value` is no identity of this kind. */
  opener(value: unknown): Opener | undefined;
}

/** A kind whose recipients and identities are the same keys. */
export function sharedKey(type: NativeKeyType, noun: string): Kind {
  return {
    type,
    noun,
    recipients: `a ${noun}`,
    identities: `a ${noun}`,
    recipient(value) {
      const key = handleOfType(value, type);
      return key && { key };
    },
    opener(value) {
      const key = handleOfType(value, type);
      return key && { key };
    },
  };
}
