/** master: a master key that both sides hold. */
import { type Kind, sharedKey } from './kind.js';

export const masterKind: Kind = sharedKey('master', 'master key');
