/** Options of the derivations of legacy keys (docs/legacy.md). */
import { z } from 'zod';
import { filePath } from '../base/validate.js';
import { type LegacyText, legacyText } from './text.js';

/** The parameters of a derivation besides its inputs (docs/legacy.md). */
export interface DerivationOptions {
  /** Path of a salts file (docs/format.md section 13). Default: the salts of this build. */
  readonly salts?: string | undefined;
  /** How the digest is written as a key string: base64 (64 characters) or lower-case hex (96). Default: `base64`. */
  readonly encoding?: 'base64' | 'hex' | undefined;
}

/** Options of `LegacyKey.hardwareHash`. */
export interface HardwareHashOptions extends DerivationOptions {
  /** The fingerprint text that is hashed. Default: this machine's (docs/legacy.md). */
  readonly fingerprint?: LegacyText | undefined;
}

export const derivation = { salts: filePath.optional(), encoding: z.enum(['base64', 'hex']).optional() };

export const derivationOptions = z.strictObject(derivation).optional();

export const hardwareHashOptions = z.strictObject({ ...derivation, fingerprint: legacyText.optional() }).optional();
