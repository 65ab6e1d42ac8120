/** An attempt to log in, as it is kept: nothing of it can be read without the field key. */
import type { FieldCipher } from '@org/model-guard/server-kit';

/** Which address is tried from where. All three are HMACs; networks are personal data, too. */
export interface Attempt {
  readonly index: Buffer;
  readonly network: Buffer;
  /** The holder of the network: a provider gives one customer many networks of IPv6. */
  readonly site: Buffer;
}

/** Of an IPv6 network of 64 bits the first 48, which is what one customer is given at most; an IPv4 address as it is. */
const siteOf = (network: string): string => (network.includes(':') ? network.split(':').slice(0, 3).join(':') : network);

/**
 * @param index HMAC of the address
 * @param network `networkOf` the caller's address
 */
export function attemptOf(fields: FieldCipher, index: Uint8Array, network: string): Attempt {
  // No e-mail address holds a space: these are HMACs of none.
  const keyed = (text: string): Buffer => Buffer.from(fields.emailIndex(`${Buffer.from(index).toString('hex')} ${text}`));
  return { index: Buffer.from(index), network: keyed(network), site: keyed(`site ${siteOf(network)}`) };
}
