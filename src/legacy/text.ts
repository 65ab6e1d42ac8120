/** Secret texts of the legacy profile: key strings, passwords, fingerprints. */
import { z } from 'zod';
import { text } from '../base/schemas.js';
import { bytes, filePath } from '../base/validate.js';

/** Where a secret text comes from: exactly one of the four. All but the last are read natively. */
export interface LegacyText {
  /** A file; one trailing newline is dropped. */
  readonly file?: string | undefined;
  /** The name of an environment variable. */
  readonly env?: string | undefined;
  /** The bytes of the text; copied, so wipe yours afterwards. */
  readonly bytes?: Uint8Array | undefined;
  /** Only for what is a JavaScript string already, such as an answer from a server: a string cannot be wiped. */
  readonly text?: string | undefined;
}

/** Of a key string, a password or a fingerprint; the addon takes no more. */
const MAX_TEXT = 65_536;
const SOURCES = 'wants exactly one of file, env, bytes, text';

export const legacyText = z
  .strictObject({ file: filePath.optional(), env: filePath.optional(), bytes: bytes.optional(), text: text(MAX_TEXT).optional() })
  .refine((source) => Object.values(source).filter((value) => value !== undefined).length === 1, SOURCES);
