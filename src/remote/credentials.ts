/** Where e-mail address and password come from. They are read for every log-in and never kept. */
import { shapes } from '../contract/index.js';
import { optionError } from '../errors.js';
import { openRegular, readSome, withFileErrors } from '../files/files.js';
import { warnIfOpen } from '../keys/files.js';
import type { Credentials, CredentialsSource } from './types.js';

const MAX_FILE = 8 * 1024;
const OTHERS = 0o077;

/** INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, SOURCE_UNSUPPORTED; nothing of what was read is in the error. */
export async function readCredentials(source: CredentialsSource): Promise<Credentials> {
  if (typeof source === 'function') return complete(await source(), 'The callback');
  if ('file' in source) return complete(parseFile(await readPrivate(source.file)), source.file);
  const { email, password } = source.env;
  return complete({ email: process.env[email], password: process.env[password] }, `The environment (${email}, ${password})`);
}

/** Two lines, or JSON. */
function parseFile(text: string): Partial<Credentials> {
  if (text.trimStart().startsWith('{')) {
    try {
      return JSON.parse(text) as Partial<Credentials>;
    } catch {
      return {};
    }
  }
  const [email, password] = text.split(/\r?\n/);
  return { email: email?.trim(), password } as Partial<Credentials>;
}

async function readPrivate(path: string): Promise<string> {
  return await withFileErrors('Cannot read', path, async () => {
    const { handle } = await openRegular(path);
    try {
      warnIfOpen(path, ((await handle.stat()).mode & OTHERS) !== 0);
      const bytes = new Uint8Array(MAX_FILE);
      const bytesRead = await readSome(handle, bytes, 0);
      return Buffer.from(bytes.subarray(0, bytesRead)).toString('utf8');
    } finally {
      await handle.close();
    }
  });
}

const isEmail = (value: unknown): value is string => shapes.email.safeParse(value).success;

function complete(given: { email?: unknown; password?: unknown } | undefined | null, where: string): Credentials {
  const { email, password } = given ?? {};
  // Stands in the place of bytes that are not UTF-8: many passwords become one.
  if ([email, password].some((text) => String(text).includes('\ufffd')))
    throw optionError('INVALID_ARGUMENT', 'options.credentials', `${where} holds bytes that are not UTF-8`);
  if (isEmail(email) && typeof password === 'string' && password !== '') return { email, password };
  throw optionError('INVALID_ARGUMENT', 'options.credentials', `${where} gives no e-mail address and password`, {
    advice: 'A file has them in two lines, the address first, or as JSON: {"email": …, "password": …}.',
  });
}
