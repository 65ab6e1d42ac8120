/** Network addresses: anonymised, counted, and read from behind a proxy. They are personal data. */
import { isIP } from 'node:net';
import proxyAddress from '@fastify/proxy-addr';
import type { Config } from './config.js';

/** IPv4 without its last octet, IPv6 without its last segment. */
export function anonymised(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (isIP(plain) === 4) return plain.replace(/\.\d+$/, '.0');
  if (isIP(plain) === 6) return plain.replace(/[0-9a-f]*$/i, '0');
  return '';
}

/** The network by which requests are counted, whatever is stored of the address. One holder has 64 bits of IPv6. */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (isIP(plain) !== 6) return plain;
  const [before = [], after = []] = plain.split('::').map((groups) => (groups === '' ? [] : groups.split(':')));
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const groups = plain.includes('::') ? [...before, ...zeros, ...after] : before;
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}

/**
 * Decides whose `X-Forwarded-For` counts: that of the connected proxy, if it is trusted, and of the header only the address that
 * this proxy added. Earlier entries may be invented by the client.
 */
export function oneProxy(networks: readonly string[]): false | ((address: string, hop: number) => boolean) {
  if (networks.length === 0) return false;
  const isTrusted = proxyAddress.compile([...networks]);
  return (address, hop) => hop === 0 && isTrusted(address, hop);
}

/** Characters of the longest address, in brackets and with a port. */
const LONGEST_FORWARDED = 64;

/**
 * The last address of an `X-Forwarded-For`, without the port that some proxies add; undefined where it is no address. Requests
 * are counted by it, so that arbitrary text must not count as a caller of its own.
 */
export function forwardedAddress(header: string): string | undefined {
  const last = header.slice(header.lastIndexOf(',') + 1).trim();
  if (last.length > LONGEST_FORWARDED) return undefined;
  const address = /^\[([0-9a-f:.]+)\](?::\d+)?$/i.exec(last)?.[1] ?? /^([\d.]+):\d+$/.exec(last)?.[1] ?? last;
  // A zone is the proxy's own, and may have any length.
  return isIP(address) !== 0 && !address.includes('%') ? address : undefined;
}

/** The address as the audit log stores it. */
export function addressOf(address: string, policy: Config['auditAddresses']): string {
  return policy === 'keep' ? address : policy === 'omit' ? '' : anonymised(address);
}
