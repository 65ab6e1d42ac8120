/** Certificates as callers name them. */
import { readBounded } from '../files.js';
import { MAX_PEM } from '../limits.js';

/** Paths of PEM files, or their text. */
export interface TlsSource {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export async function readTls({ ca, cert, key }: TlsSource = {}): Promise<{ ca?: string; cert?: string; key?: string }> {
  return {
    ...(ca !== undefined && { ca: await pem(ca) }),
    ...(cert !== undefined && { cert: await pem(cert) }),
    ...(key !== undefined && { key: await pem(key) }),
  };
}

const pem = async (source: string): Promise<string> =>
  source.includes('-----BEGIN ') ? source : Buffer.from(await readBounded(source, MAX_PEM)).toString('utf8');
