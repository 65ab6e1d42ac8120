/** An attempt to log in, as it is stored: unreadable without the field key. */
import type { FieldCipher } from '@org/model-guard/server-kit';

/** The address and the network of an attempt, as HMACs: networks are personal data, too. */
export interface Attempt {
  readonly index: Buffer;
  readonly network: Buffer;
  /** The holder of the network: a provider gives one customer many IPv6 networks. */
  readonly site: Buffer;
}

/** The first 48 bits of an IPv6 network, which one customer is given at most; an IPv4 address unchanged. */
const siteOf = (network: string): string => (network.includes(':') ? network.split(':').slice(0, 3).join(':') : network);

/**
 * @param index HMAC of the address
 * @param network `networkOf` the caller's address
 */
export function attemptOf(fields: FieldCipher, index: Uint8Array, network: string): Attempt {
  // The text holds a space, which no e-mail address does, so these HMACs never equal one of an address.
  const keyed = (text: string): Buffer => Buffer.from(fields.emailIndex(`${Buffer.from(index).toString('hex')} ${text}`));
  return { index: Buffer.from(index), network: keyed(network), site: keyed(`site ${siteOf(network)}`) };
}
