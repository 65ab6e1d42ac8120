/** Finds secrets that can be guessed. Production refuses those that attackers try first. */
import { COMMON } from './common-passwords.js';

/** Bytes of a key that makes signatures. */
export const SHORTEST_KEY = 32;
/** Different bytes of a key. 32 random decimal digits, the poorest usual alphabet, have fewer once in ten million times. */
const FEWEST_IN_KEY = 6;
/** Bytes of a password of another system, as of an account. */
const SHORTEST_PASSWORD = 12;
const FEWEST_IN_PASSWORD = 5;
/** Published secrets: of this server, of AWS's documentation, of tools that make tokens. */
export const DEVELOPMENT_SECRET = 'development only: everybody knows this secret';
const EXAMPLES: ReadonlySet<string> = new Set([
  DEVELOPMENT_SECRET,
  'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  'a-string-secret-at-least-256-bits-long',
  'your-256-bit-secret-your-256-bit-secret',
]);

/** Why a key can be guessed; undefined where no rule finds a weakness. */
export function weaknessOfKey(key: Uint8Array): string | undefined {
  if (key.length < SHORTEST_KEY) return `has fewer than ${SHORTEST_KEY} bytes`;
  if (isExample(key)) return 'is a published example';
  if (new Set(key).size < FEWEST_IN_KEY) return `has fewer than ${FEWEST_IN_KEY} different bytes`;
  if (repeats(key)) return 'repeats a short pattern';
  if (counts(key)) return 'counts up or down';
  return undefined;
}

/** Why the password of another system can be guessed; undefined where no rule finds a weakness. */
export function weaknessOfPassword(password: string): string | undefined {
  const bytes = Buffer.from(password);
  if (bytes.length < SHORTEST_PASSWORD) return `has fewer than ${SHORTEST_PASSWORD} bytes`;
  if (isExample(bytes) || COMMON.has(password.toLowerCase())) return 'is a published example';
  if (new Set(bytes).size < FEWEST_IN_PASSWORD) return `has fewer than ${FEWEST_IN_PASSWORD} different bytes`;
  return undefined;
}

const isExample = (bytes: Uint8Array): boolean => EXAMPLES.has(Buffer.from(bytes).toString('latin1'));

/** Whether the key repeats a shorter pattern: it is worth no more than the pattern. */
function repeats(key: Uint8Array): boolean {
  for (let period = 1; period < SHORTEST_KEY && period * 2 <= key.length; period++)
    if (key.every((byte, at) => at < period || byte === key[at - period])) return true;
  return false;
}

/** Whether half of the bytes continue the two before them, as in `abcdef` or `987654`. */
function counts(key: Uint8Array): boolean {
  const step = (at: number): number => (key[at] ?? 0) - (key[at - 1] ?? 0);
  const steps = key.filter((_, at) => at >= 2 && Math.abs(step(at)) <= 1 && step(at) === step(at - 1)).length;
  return steps * 2 >= key.length;
}
