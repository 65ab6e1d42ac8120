/** Checks passwords against the rules, and hashes them (argon2id; OWASP's parameters or stronger). */
import { type Algorithm, hash, type Options, verify } from '@node-rs/argon2';
import { ModelGuardError } from '@org/model-guard/server-kit';
import { COMMON } from '../base/common-passwords.js';
import { BoundedSemaphore } from '../limits/semaphore.js';

const COST: Options = { algorithm: 2 satisfies Algorithm.Argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const SHORTEST = 12;
const FEWEST_DIFFERENT = 5;
/** Characters. A shorter local part occurs in too many good passwords by chance. */
const TELLING = 3;

/** Hashing is expensive on purpose and shares its threads with files and tokens: two at once leave threads for those. */
const work = new BoundedSemaphore(2, 128);

/** NFC, so that one password typed on two keyboards is the same bytes (RFC 8265). */
const bytesOf = (password: string): Buffer => Buffer.from(password.normalize('NFC'));

/** The hash to store. */
export const hashPassword = (password: string): Promise<string> => work.run(() => hash(bytesOf(password), COST));

/** Dummy hash, so that unknown users take the same time. */
let dummyHash: Promise<string> | undefined;
/** Makes the dummy hash ahead, so that the first unknown user takes no longer. */
export const prepareDummyHash = (): Promise<string> => {
  dummyHash ??= hashPassword(crypto.randomUUID());
  return dummyHash;
};

/** Compares a password with the stored hash. Without a hash, does the same work and returns false. RATE_LIMITED */
export async function passwordHolds(stored: string | undefined, password: string): Promise<boolean> {
  const against = stored ?? (await prepareDummyHash());
  const holds = await work.run(() => verify(against, bytesOf(password)));
  return stored !== undefined && holds;
}

/** @throws PASSWORD_WEAK */
export function checkPassword(password: string, email: string, name?: string): void {
  const plain = password.normalize('NFKC').toLowerCase();
  const weak = (what: string): ModelGuardError => new ModelGuardError('PASSWORD_WEAK', what);
  if ([...password.normalize('NFC')].length < SHORTEST) throw weak(`The password has fewer than ${SHORTEST} characters`);
  if (new Set(plain).size < FEWEST_DIFFERENT) throw weak('The password repeats a few characters');
  if (COMMON.has(plain)) throw weak('The password is one of the most common ones');
  const own = [email.split('@')[0], name].map((text) => (text ?? '').normalize('NFKC').toLowerCase());
  if (own.some((text) => [...text].length >= TELLING && plain.includes(text)))
    throw weak('The password holds the name or the e-mail address');
}
