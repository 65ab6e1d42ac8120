/** Bytes as text, and joined. */
/** One array of two. */
export function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const unhex = (digits: string): Uint8Array => new Uint8Array(Buffer.from(digits, 'hex'));

/** In base64url without padding (RFC 4648, section 5). */
export const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
export const decode = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'));
