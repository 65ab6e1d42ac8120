/** passphrase: a passphrase that both sides know. */
import { type Kind, sharedKey } from './kind.js';

export const passphraseKind: Kind = { ...sharedKey('passphrase', 'passphrase'), single: true };
