/** Network addresses are personal data: what is kept of them. */
import { isIP } from 'node:net';
import type { Config } from '../config.js';

/** IPv4 without its last octet, IPv6 without its last segment. */
export function anonymised(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (isIP(plain) === 4) return plain.replace(/\.\d+$/, '.0');
  if (isIP(plain) === 6) return plain.replace(/[0-9a-f]*$/i, '0');
  return '';
}

/** What the audit log is told. */
export function addressOf(address: string, policy: Config['auditAddresses']): string {
  return policy === 'keep' ? address : policy === 'omit' ? '' : anonymised(address);
}
