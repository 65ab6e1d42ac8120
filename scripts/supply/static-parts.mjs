// The libraries inside the prebuilt addon that no package manager lists, as components of the SBOM.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../crypto/source.sh', import.meta.url));

/** Version, digest and address of an archive in scripts/crypto/source.sh, as fields of a component. */
function archive(name, purl) {
  const script =
    'source "$1" && declare -n version="$2_VERSION" digest="$2_SHA256" url="$2_URLS" && echo "$version $digest $url"';
  const output = execFileSync('bash', ['-euc', script, 'bash', source, name], { encoding: 'utf8' });
  const [version, digest, url] = output.trim().split(' ');
  const hashes = [{ alg: 'SHA-256', content: digest }];
  return {
    version,
    hashes,
    purl: `${purl}${version}?checksum=sha256:${digest}&download_url=${encodeURIComponent(url)}`,
    externalReferences: [{ type: 'source-distribution', url, hashes }],
  };
}

/** The archives of scripts/crypto/source.sh, and the C++ runtime of Debian 11's compiler. */
export function staticParts() {
  const openssl = archive('OPENSSL', 'pkg:generic/openssl@');
  const ipsecMb = archive('IPSEC_MB', 'pkg:github/intel/intel-ipsec-mb@v');
  return [
    {
      type: 'library',
      name: 'openssl',
      ...openssl,
      'bom-ref': `openssl@${openssl.version}`,
      description: 'libcrypto, linked into the prebuilt addon; its hash is that of the source archive',
      licenses: [{ license: { id: 'Apache-2.0' } }],
      cpe: `cpe:2.3:a:openssl:openssl:${openssl.version}:*:*:*:*:*:*:*`,
    },
    {
      type: 'library',
      name: 'intel-ipsec-mb',
      ...ipsecMb,
      'bom-ref': `intel-ipsec-mb@${ipsecMb.version}`,
      description: 'Its multi-buffer SHA-256, linked into the prebuilt addon for x64; its hash is that of the source archive',
      licenses: [{ license: { id: 'BSD-3-Clause' } }],
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
