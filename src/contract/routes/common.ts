/** Shapes that routes of several rooms take. */
import { z } from 'zod';
import * as s from '../shapes.js';

export const ofModel = z.strictObject({ name: s.modelName });
export const ofAccount = z.strictObject({ account: s.id });
export const nothing = z.strictObject({});
export const challenged = z.object({ challenge: s.challenge, expires: s.seconds });
export const proven = {
  device: s.id,
  challenge: s.challenge,
  /** The position of the audit log that the device keeps. */
  checkpoint: s.auditPosition.optional(),
};
