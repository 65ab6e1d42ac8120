// The libraries inside the prebuilt addon that no package manager lists, as components of the SBOM.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../crypto/source.sh', import.meta.url));

/** OpenSSL as scripts/crypto/source.sh names it, and the C++ runtime of Debian 11's compiler. */
export function staticParts() {
  const script = 'source "$1" && printf "%s\\n" "$OPENSSL_VERSION" "$OPENSSL_SHA256" "$OPENSSL_URLS"';
  const [version, digest, url] = execFileSync('bash', ['-euc', script, 'bash', source], { encoding: 'utf8' }).split('\n');
  const hashes = [{ alg: 'SHA-256', content: digest }];
  const qualifiers = `checksum=sha256:${digest}&download_url=${encodeURIComponent(url)}`;
  return [
    {
      type: 'library',
      name: 'openssl',
      version,
      'bom-ref': `openssl@${version}`,
      description: 'libcrypto, linked into the prebuilt addon; its hash is that of the source archive',
      hashes,
      licenses: [{ license: { id: 'Apache-2.0' } }],
      cpe: `cpe:2.3:a:openssl:openssl:${version}:*:*:*:*:*:*:*`,
      purl: `pkg:generic/openssl@${version}?${qualifiers}`,
      externalReferences: [{ type: 'source-distribution', url, hashes }],
    },
    {
      type: 'library',
      name: 'libstdc++',
      version: '10.2.1',
      'bom-ref': 'libstdc++@10.2.1',
      description: 'The C++ runtime of GCC with libgcc, linked into the prebuilt addon',
      licenses: [{ expression: 'GPL-3.0-or-later WITH GCC-exception-3.1' }],
    },
  ];
}
