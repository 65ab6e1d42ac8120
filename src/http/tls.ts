/** Certificates as callers name them. */
import { stat } from 'node:fs/promises';
import { MAX_PEM } from '../base/limits.js';
import { readBounded } from '../files/files.js';

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

/** Which files a source names, as they are now: another text once one of them was changed or replaced. */
export async function revisionOf({ ca, cert, key }: TlsSource = {}): Promise<string> {
  const files = [ca, cert, key].filter((source): source is string => source !== undefined && !isText(source));
  const revisions = await Promise.all(
    files.map(async (file) => {
      try {
        const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
        return `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
      } catch {
        return 'unreadable';
      }
    }),
  );
  return revisions.join(' ');
}

const isText = (source: string): boolean => source.includes('-----BEGIN ');
const pem = async (source: string): Promise<string> =>
  isText(source) ? source : Buffer.from(await readBounded(source, MAX_PEM)).toString('utf8');
