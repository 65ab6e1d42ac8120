/** Certificates for tests, by openssl: an authority, and what it signs. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export class Authority {
  readonly #folder: string;
  readonly certificate: Certificate;

  constructor(folder: string, name = 'authority') {
    this.#folder = folder;
    const files = { certFile: path.join(folder, `${name}.crt`), keyFile: path.join(folder, `${name}.key`) };
    openssl('req', '-x509', ...newKey(files.keyFile), '-out', files.certFile, '-days', '30', '-subj', `/CN=${name}`);
    this.certificate = read(files);
  }

  /** For a server at `address`, or for a client. */
  issue(name: string, address = 'IP:127.0.0.1'): Certificate {
    const at = (end: string): string => path.join(this.#folder, `${name}.${end}`);
    openssl('req', ...newKey(at('key')), '-out', at('csr'), '-subj', `/CN=${name}`, '-addext', `subjectAltName=${address}`);
    const by = ['-CA', this.certificate.certFile, '-CAkey', this.certificate.keyFile, '-CAcreateserial'];
    openssl('x509', '-req', '-in', at('csr'), ...by, '-copy_extensions', 'copy', '-days', '30', '-out', at('crt'));
    return read({ certFile: at('crt'), keyFile: at('key') });
  }

  /** A list of certificates that are revoked from now on, in PEM. */
  revoke(...revoked: readonly Certificate[]): string {
    const at = (name: string): string => path.join(this.#folder, name);
    writeFileSync(at('ca.cnf'), `[ca]\ndefault_ca=d\n[d]\ndatabase=${at('ca.db')}\ndefault_md=sha256\ndefault_crl_days=30\n`);
    writeFileSync(at('ca.db'), '');
    const by = ['-config', at('ca.cnf'), '-cert', this.certificate.certFile, '-keyfile', this.certificate.keyFile];
    for (const { certFile } of revoked) openssl('ca', ...by, '-revoke', certFile);
    openssl('ca', ...by, '-gencrl', '-out', at('ca.crl'));
    return readFileSync(at('ca.crl'), 'utf8');
  }
}

const newKey = (file: string): string[] => [
  '-newkey',
  'ec',
  '-pkeyopt',
  'ec_paramgen_curve:prime256v1',
  '-nodes',
  '-keyout',
  file,
];
const read = (files: { certFile: string; keyFile: string }): Certificate => ({
  ...files,
  cert: readFileSync(files.certFile, 'utf8'),
  key: readFileSync(files.keyFile, 'utf8'),
});

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
}
