// Runs the package on a host that sets OpenSSL to FIPS mode for every program, without the module that the mode needs, and preloads another
// libcrypto. The addon's own OpenSSL must take notice of neither. In Bun: Node reads the configuration for itself, and does not start.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

const CONFIGURATION = `openssl_conf = init
[init]
alg_section = algorithms
[algorithms]
default_properties = fips=yes
`;

/** In `project` the story has been told once; `runtimes` is of installRuntimes. */
export function runStoryOnFipsHost({ project, runtimes, temporary, run }) {
  const file = path.join(temporary, 'fips.cnf');
  writeFileSync(file, CONFIGURATION);
  const env = { ...process.env, OPENSSL_CONF: file };
  const refused = run(
    "the system's OpenSSL follows the configuration",
    'sh',
    ['-c', 'openssl dgst -sha256 "$OPENSSL_CONF" 2>&1 || true'],
    { env },
  );
  if (!/unsupported|Error/.test(refused)) throw new Error(`the configuration has no effect: ${refused}`);
  const libraries = execFileSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' });
  const preloaded = /libcrypto\.so\.3 .*=> (\S+)/.exec(libraries)?.[1];
  if (preloaded === undefined) throw new Error('this system has no libcrypto.so.3 to preload');
  const said = run('the story on a host in FIPS mode, with another libcrypto preloaded', runtimes.bun[0], ['story.mjs'], {
    cwd: project,
    env: { ...env, LD_PRELOAD: preloaded },
    timeout: 600_000,
  });
  const { openssl } = JSON.parse(said);
  if (openssl.from !== 'own') throw new Error(`OpenSSL ${openssl.version} (${openssl.from}) was used`);
}
