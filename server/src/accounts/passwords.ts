/** Passwords: which ones are taken, and how they are kept (argon2id; OWASP's parameters or stronger). */
import { type Algorithm, hash, type Options, verify } from '@node-rs/argon2';
import { ModelGuardError } from '@org/model-guard/server-kit';
import { Gate } from '../gate.js';
import { COMMON } from './common-passwords.js';

const COST: Options = { algorithm: 2 satisfies Algorithm.Argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const SHORTEST = 12;
const FEWEST_DIFFERENT = 5;
/** A shorter local part is in too many good passwords by chance. */
const TELLING = 3;

/** Hashing is dear on purpose, and shares its threads with files and tokens: log-ins from everywhere must leave some to the others. */
const work = new Gate(2, 128);

/** The same password typed on two keyboards is the same bytes (RFC 8265). */
const bytesOf = (password: string): Buffer => Buffer.from(password.normalize('NFC'));

/** What is stored. */
export const hashPassword = (password: string): Promise<string> => work.run(() => hash(bytesOf(password), COST));

/** Of nobody's password: verifying against it costs as much as against a real one. */
let nobody: Promise<string> | undefined;
/** Makes the hash that unknown users are verified against, so that the first of them does not take longer. */
export const prepareNobody = (): Promise<string> => {
  nobody ??= hashPassword(crypto.randomUUID());
  return nobody;
};

/** Whether it is the password; without a stored hash the same work, and false. RATE_LIMITED */
export async function passwordHolds(stored: string | undefined, password: string): Promise<boolean> {
  const against = stored ?? (await prepareNobody());
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
