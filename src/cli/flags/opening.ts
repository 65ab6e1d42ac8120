/** Flags of commands that open a model: identities and trust. */
import type { Command } from 'commander';
import type { RunFlags } from '../context.js';
import { withThreads } from './common.js';
import { type IdentityFlags, type OriginFlags, openersOf, originOf, withIdentities, withOrigin, withPassphrase } from './keys.js';

export interface OpenFlags extends IdentityFlags, OriginFlags, RunFlags {}

export const withOpening = (command: Command): Command =>
  withThreads(withOrigin(withPassphrase(withIdentities(command), 'identity')));

export const openingOf = async (flags: OpenFlags) => ({ ...(await openersOf(flags)), ...(await originOf(flags)) });
